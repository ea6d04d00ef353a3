"""mosquitto_pub (Debian package mosquitto-clients): both protocol versions, every QoS, good and bad credentials."""

import json
import subprocess
import uuid

from harness.cases import case, contains, equal, eventually

VERSIONS = ("mqttv311", "mqttv5")
TS = 1_700_000_000_000


def publish(server, user, password, topic, payload, version, qos, patience=30):
    """Runs mosquitto_pub; returns (exit code, what it said). The code is None if it was still trying after `patience`
    seconds: it reconnects and sends again for as long as a server closes the connection without an ack."""
    host, port = server.address("mqtt")
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-V", version, "-q", str(qos), "-u", user, "-P", password]
    command += ["-t", topic, "-m", payload]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, stdin=subprocess.DEVNULL)
        return done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        return None, ""


def message(seq):
    return json.dumps({"ts": TS + seq, "seq": seq, "metrics": {"temperature": 20.5 + seq, "state": "on", "door": True}})


def versions_and_qos(shape):
    """One case for each protocol version and QoS."""
    for version in VERSIONS:
        for qos in (0, 1, 2):
            shape(version, qos)


def right_token(version, qos):
    @case(f"{version}, QoS {qos}, right token: every metric is read back")
    def _(world):
        server = world.line()
        device = server.api.device()
        who = device["device_id"], device["auth_token"], device["topic"]
        for seq in (1, 2, 3):
            equal(publish(server, *who, message(seq), version, qos), (0, ""), "mosquitto_pub")
        for metric, value in (("temperature", lambda seq: 20.5 + seq), ("state", lambda _: "on"), ("door", lambda _: True)):
            expected = [(TS + seq, value(seq), seq) for seq in (1, 2, 3)]
            eventually(lambda: server.api.raw(device["device_id"], metric), expected, metric)


def wrong_token(version, qos):
    @case(f"{version}, QoS {qos}, wrong token: refused, nothing stored")
    def _(world):
        server = world.line()
        device = server.api.device()
        wrong = device["auth_token"][:-1] + ("a" if device["auth_token"][-1] != "a" else "b")
        code, said = publish(server, device["device_id"], wrong, device["topic"], message(1), version, qos)
        equal(code != 0, True, "mosquitto_pub fails")
        contains(said, "bad user name or password")
        equal(server.api.raw(device["device_id"], "temperature"), [], "readings")


versions_and_qos(right_token)
versions_and_qos(wrong_token)


@case("one connection, a message a line, 500 messages: all read back in order")
def _(world):
    server = world.line()
    device = server.api.device()
    host, port = server.address("mqtt")
    lines = "\n".join(message(seq) for seq in range(500))
    command = ["mosquitto_pub", "-h", host, "-p", str(port), "-V", "mqttv5", "-q", "1", "-l"]
    command += ["-u", device["device_id"], "-P", device["auth_token"], "-t", device["topic"]]
    done = subprocess.run(command, input=lines + "\n", capture_output=True, text=True, timeout=60)
    equal((done.returncode, done.stderr), (0, ""), "mosquitto_pub")
    expected = [(TS + seq, 20.5 + seq, seq) for seq in range(500)]
    eventually(lambda: server.api.raw(device["device_id"], "temperature"), expected, "temperature")


@case("unknown device: refused")
def _(world):
    server = world.line()
    topic = f"tenant/{uuid.uuid4()}/device/{uuid.uuid4()}/data"
    for version in VERSIONS:
        code, said = publish(server, str(uuid.uuid4()), server.api.device()["auth_token"], topic, message(1), version, 1)
        equal(code != 0, True, "mosquitto_pub fails")
        contains(said, "bad user name or password")


def foreign_topic(version, qos):
    @case(f"{version}, QoS {qos}, another device's topic: refused, nothing stored")
    def _(world):
        server = world.line()
        device, other = server.api.device(), server.api.device()
        who = device["device_id"], device["auth_token"]
        if version == "mqttv5" and qos > 0:
            contains(publish(server, *who, other["topic"], message(1), version, qos)[1], "not authori")
        else:
            code, _ = publish(server, *who, other["topic"], message(1), version, qos, patience=2)
            equal(code == 0 and qos > 0, False, "no ack: 3.1.1 has no word for a refusal, so the connection is closed")
        # What the device publishes afterwards under its own topic is behind the refused one on the line.
        equal(publish(server, *who, device["topic"], message(2), version, 1), (0, ""), "mosquitto_pub")
        eventually(lambda: len(server.api.raw(device["device_id"], "temperature")), 1, "own readings")
        equal(server.api.raw(other["device_id"], "temperature"), [], "the other's readings")


versions_and_qos(foreign_topic)


@case("another tenant in the topic: refused")
def _(world):
    server = world.line()
    device = server.api.device()
    topic = device["topic"].replace(device["tenant_id"], str(uuid.uuid4()))
    who = device["device_id"], device["auth_token"]
    contains(publish(server, *who, topic, message(1), "mqttv5", 1)[1], "not authori")
    equal(publish(server, *who, topic, message(1), "mqttv311", 1, patience=2)[0] != 0, True, "3.1.1: closed without an ack")
    equal(server.api.raw(device["device_id"], "temperature"), [], "readings")


@case("what cannot be read is acknowledged and dead-lettered with its bytes")
def _(world):
    server = world.line()
    device = server.api.device()
    who = device["device_id"], device["auth_token"], device["topic"]
    equal(publish(server, *who, '{"metrics": {"temperature": 1', "mqttv311", 1), (0, ""), "mosquitto_pub")
    letters = eventually_letters(server, device, 1)
    equal((letters[0]["reason"], letters[0]["device_id"]), ("not-well-formed", device["device_id"]))
    equal(letters[0]["payload"], "eyJtZXRyaWNzIjogeyJ0ZW1wZXJhdHVyZSI6IDE=", "payload in base64")


def eventually_letters(server, device, count):
    eventually(lambda: len(server.api.dead_letters(device=device["device_id"])), count, "dead letters")
    return server.api.dead_letters(device=device["device_id"])


@case("an event is stored as an event")
def _(world):
    server = world.line()
    device = server.api.device()
    topic = device["topic"].removesuffix("/data") + "/events"
    event = json.dumps({"type": "door-opened", "ts": TS, "seq": 7, "data": {"by": "badge", "n": [1, 2]}})
    equal(publish(server, device["device_id"], device["auth_token"], topic, event, "mqttv5", 1), (0, ""), "mosquitto_pub")
    path = f"/v1/devices/{device['device_id']}/events"
    events = lambda: [(e["type"], e["ts"], e["data"]) for e in server.api.get(path, from_=0, to=10**13)["events"]]
    eventually(events, [("door-opened", TS, {"by": "badge", "n": [1, 2]})], "events")
