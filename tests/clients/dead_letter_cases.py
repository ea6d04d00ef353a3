"""Dead letters that help: a bad message is kept and explained, what was wrong is mended, a dry run says what would pass, and a
replay makes readings of it, once."""

import base64
import json

from clients import mosquitto_cases as mosquitto
from clients.cli_cases import asked
from harness.cases import case, contains, equal, eventually


def publish(server, device, *messages):
    who = device["device_id"], device["auth_token"], device["topic"]
    for message in messages:
        equal(mosquitto.publish(server, *who, json.dumps(message), "mqttv5", 1), (0, ""), "mosquitto_pub")


@case("a message of a quarantined device becomes a dead letter, and a reading once the device is active and it is replayed")
def _(world):
    server = world.line()
    device = server.api.device("letters-api")
    path, of_device = f"/v1/devices/{device['device_id']}", {"device": device["device_id"]}
    equal(server.api.request("PATCH", path, {"status": "quarantined"})[0], 200, "quarantined")
    good = {"ts": 1_700_000_000_000, "seq": 1, "metrics": {"level": 1.5}}
    bad = {"ts": 1_700_000_000_001, "seq": 2, "metrics": {"level": {"deep": 1}}}
    publish(server, device, good, bad)
    letters = lambda: server.api.dead_letters(**of_device)
    eventually(lambda: len(letters()), 2, "dead letters")
    for letter, message in zip(reversed(letters()), (good, bad)):
        equal(json.loads(base64.b64decode(letter["payload"])), message, "the payload")
        expect = ("quarantined", "pending", 0, device["topic"], "data", "json")
        equal(tuple(letter[name] for name in ("reason", "state", "tries", "mqtt_topic", "kind", "format")), expect, letter)
        contains(letter["sentence"], "active and replay")

    equal(server.api.request("PATCH", path, {"status": "active"})[0], 200, "active again")
    ask = {"filter": of_device}
    status, dry = server.api.request("POST", "/v1/dead-letters/replay", {**ask, "dry_run": True})
    equal((status, dry["would_pass"], dry["would_fail"]), (200, 1, {"metric-type": 1}), "the dry run")
    equal(server.api.raw(device["device_id"], "level"), [], "a dry run changes nothing")

    status, done = server.api.request("POST", "/v1/dead-letters/replay", ask)
    equal((status, done["replayed"], done["failed"]), (200, 1, {"metric-type": 1}), "the replay")
    eventually(lambda: server.api.raw(device["device_id"], "level"), [(good["ts"], 1.5, 1)], "it is readable")
    tried = {letter["state"]: letter for letter in letters()}
    equal(tried["replayed"]["tries"], 1, "the one that passed")
    equal((tried["pending"]["tries"], tried["pending"]["last_try"]["reason"]), (1, "metric-type"), "the one that did not")

    status, again = server.api.request("POST", "/v1/dead-letters/replay", ask)
    equal((again["replayed"], again["skipped"]), (0, {"replayed": 1}), "again")
    equal(server.api.raw(device["device_id"], "level"), [(good["ts"], 1.5, 1)], "it is there once")


@case("the command line lists, shows and replays dead letters")
def _(world):
    server = world.line()
    device = server.api.device("letters-cli")
    path = f"/v1/devices/{device['device_id']}"
    server.api.request("PATCH", path, {"status": "quarantined"})
    publish(server, device, *({"ts": seq, "seq": seq, "metrics": {"level": seq}} for seq in range(1, 4)))
    eventually(lambda: len(server.api.dead_letters(device=device["device_id"])), 3, "dead letters")
    server.api.request("PATCH", path, {"status": "active"})

    def run(*arguments):
        return asked(server, "dead-letter", *arguments)

    pending = run("list", "--device", device["device_id"], "--state", "pending", "--reason", "quarantined")["dead_letters"]
    equal(len(pending), 3, "the list")
    equal(run("show", pending[0]["id"])["id"], pending[0]["id"], "one of them")
    equal(run("replay", "--device", device["device_id"], "--dry-run")["would_pass"], 3, "the dry run")
    equal(run("replay", "--id", pending[0]["id"])["replayed"], 1, "one of them")
    done = run("replay", "--class", "letters-cli", "--reason", "quarantined", "--from", "-1h")
    equal((done["replayed"], done["skipped"]), (2, {"replayed": 1}), "the others")
    equal(len(server.api.raw(device["device_id"], "level")), 3, "all are readable")
