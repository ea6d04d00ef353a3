"""A message that makes a stage panic: isolated with its cause where that can be, else the line stops and says so. The binary
panics on marked messages (feature `sabotage`); the shipped one takes the same data directory over."""

import base64
import json

from clients import mosquitto_cases as mosquitto
from harness.api import Api
from harness.cases import Skip, case, contains, equal, eventually
from harness.server import SABOTAGE_BIN

TS = 1_700_000_000_000
MARKS = ("panic-while-reading", "panic-while-accepting", "panic-while-writing")


def sabotaged(world):
    if not SABOTAGE_BIN.exists():
        raise Skip(f"no {SABOTAGE_BIN}: build it with `scripts/check kill`")
    return world.server(binary=SABOTAGE_BIN, environment={"TIDEWATER_SABOTAGE": "none"}).start()


def message(seq, metric="level"):
    return {"ts": TS + seq, "seq": seq, "metrics": {metric: seq / 8}}


def point(seq):
    return TS + seq, seq / 8, seq


def publish(server, device, *messages):
    """Over MQTT with QoS 1, one after the other; returns the answers that are not an acknowledgement."""
    who = device["device_id"], device["auth_token"], device["topic"]
    answers = [mosquitto.publish(server, *who, json.dumps(message), "mqttv5", 1) for message in messages]
    return [answer for answer in answers if answer != (0, "")]


def post(server, device, body):
    path = f"/v1/ingest/{device['device_id']}"
    return server.api.request("POST", path, body, key=device["auth_token"])[0]


def letters(server, device):
    """(reason, cause, what was sent, tries, state), in the order of their addresses."""
    found = server.api.dead_letters(device=device["device_id"])
    found.sort(key=lambda letter: [int(part) for part in letter["id"].split("-")])
    said = [(letter["reason"], letter["detail"], json.loads(base64.b64decode(letter["payload"])), letter["tries"], letter["state"]) for letter in found]
    return said, [letter["id"] for letter in found]


def obstacles(server):
    status, body = Api(server.listen["operations"], "").request("GET", "/ready")
    return status, [(reason["code"], reason["detail"]) for reason in body["reasons"]]


@case("a message that panics between good ones is a dead letter with its cause, after kill -9 and SIGTERM too, and its replay a reading")
def _(world):
    server = sabotaged(world)
    device = server.api.device("poison")
    # Over MQTT one by one, over HTTP within an array: there a payload that cannot even be read is all of it, so that mark stays out.
    over_mqtt = [message(1), *(message(2 + at, mark) for at, mark in enumerate(MARKS)), message(5)]
    over_http = [message(6), message(7, MARKS[1]), message(8), message(9, MARKS[2]), message(10)]
    good = [point(seq) for seq in (1, 5, 6, 8, 10)]
    poison = [sent for sent in over_mqtt + over_http if "level" not in sent["metrics"]]
    mark_of = lambda sent: next(iter(sent["metrics"]))
    expect = lambda tries: [("poison", f"a panic in the pipeline: {mark_of(sent)}", sent, tries, "pending") for sent in poison]
    level = lambda: server.api.raw(device["device_id"], "level")

    equal(publish(server, device, *over_mqtt), [], "all are acknowledged")
    equal(post(server, device, over_http), 202, "the array")
    eventually(level, good, "what is good is readable")
    eventually(lambda: letters(server, device)[0], expect(0), "the others are dead letters")
    _, ids = letters(server, device)
    ask = {"filter": {"device": device["device_id"]}}
    status, done = server.api.request("POST", "/v1/dead-letters/replay", ask)
    equal((status, done["replayed"], done["failed"]), (200, 0, {"poison": 5}), "a replay panics again, and is isolated again")

    for how in ("kill", "stop"):
        server.kill() if how == "kill" else equal(server.stop(), 0, "exit code on SIGTERM")
        server.start()
        equal(level(), good, f"readable after {how}")
        equal(letters(server, device), (expect(1), ids), f"the letters after {how}: the same, once")
        equal(obstacles(server), (200, []), f"ready after {how}")
    equal(publish(server, device, message(11)), [], "the partition goes on")
    eventually(level, [*good, point(11)], "the next one")

    equal(server.stop(), 0, "exit code on SIGTERM")
    server = world.server(server.data).start()
    status, done = server.api.request("POST", "/v1/dead-letters/replay", ask)
    equal((status, done["replayed"], done["failed"]), (200, 5, {}), "the replay with the defect mended")
    for mark in MARKS:
        sent = [point(sent["seq"]) for sent in poison if mark_of(sent) == mark]
        eventually(lambda mark=mark: server.api.raw(device["device_id"], mark), sent, f"{mark} is a reading")
    status, again = server.api.request("POST", "/v1/dead-letters/replay", ask)
    equal((again["replayed"], again["skipped"]), (0, {"replayed": 5}), "once")


@case("a panic that cannot be isolated stops the line, says so and acknowledges nothing into the void; with it mended nothing is lost")
def _(world):
    server = sabotaged(world)
    device, poison = server.api.device("healthy"), server.api.device("panic-while-inserting")
    level = lambda of: server.api.raw(of["device_id"], "level")
    equal(publish(server, device, message(1)), [], "a good one")
    eventually(lambda: level(device), [point(1)], "it is readable")
    # Durable before it is looked at: it is acknowledged, and stays in the journal.
    equal(post(server, poison, message(1)), 202, "the one that panics")

    eventually(lambda: obstacles(server)[0], 503, "it is not ready")
    ((code, detail),) = obstacles(server)[1]
    equal(code, "ingest-held", "why")
    contains(detail, "please report it", "panicked at raw offset", "panic-while-inserting", "safe in the journal")
    equal(post(server, device, message(2)), 503, "nothing more is taken over HTTP")
    equal(len(publish(server, device, message(2))), 1, "nothing more is taken over MQTT")
    equal((level(device), level(poison)), ([point(1)], []), "reads are served")

    # The same bytes panic again: a start says why it cannot.
    server.kill()
    try:
        server.start()
    except AssertionError as error:
        contains(str(error), "the line panicked at raw offset", "panic-while-inserting", "a version that has it mended")
    else:
        raise AssertionError("it started over what it cannot derive")
    server = world.server(server.data).start()
    equal((level(device), level(poison)), ([point(1)], [point(1)]), "everything that was acknowledged is readable")
    equal(publish(server, device, message(2)), [], "it goes on")
    eventually(lambda: level(device), [point(1), point(2)], "the next one")
