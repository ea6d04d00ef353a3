"""MQTT.js (npm package mqtt) on Node.js, through publish.mjs beside this file."""

import json
import pathlib
import subprocess

from harness.cases import case, contains, equal, eventually

SCRIPT = pathlib.Path(__file__).with_name("publish.mjs")
TS = 1_700_000_000_000


def publish(server, user, password, topic, messages, version, qos):
    host, port = server.address("mqtt")
    order = {
        "url": f"mqtt://{host}:{port}",
        "username": user,
        "password": password,
        "protocolVersion": version,
        "qos": qos,
        "topic": topic,
        "messages": messages,
    }
    done = subprocess.run(["node", str(SCRIPT)], input=json.dumps(order), capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def messages(count):
    return [json.dumps({"ts": TS + seq, "seq": seq, "metrics": {"power": seq * 1.1}}) for seq in range(count)]


def round_trip(version, name, qos):
    @case(f"{name}, QoS {qos}: 300 messages, read back exactly")
    def _(world):
        server = world.line()
        device = server.api.device()
        who = device["device_id"], device["auth_token"], device["topic"]
        equal(publish(server, *who, messages(300), version, qos), {"acknowledged": 300})
        expected = [(TS + seq, seq * 1.1, seq) for seq in range(300)]
        eventually(lambda: server.api.raw(device["device_id"], "power"), expected, "readings")


for protocol, text in ((4, "MQTT 3.1.1"), (5, "MQTT 5")):
    for level in (0, 1, 2):
        round_trip(protocol, text, level)


@case("a wrong token: refused with a reason")
def _(world):
    server = world.line()
    device, other = server.api.device(), server.api.device()
    for version, codes in ((4, {4, 5}), (5, {0x86, 0x87})):
        answer = publish(server, device["device_id"], other["auth_token"], device["topic"], messages(1), version, 1)
        contains(answer.get("error", str(answer)), "connection refused")
        equal(answer["code"] in codes, True, f"code {answer['code']}")


@case("MQTT 5, a foreign topic: the publish is refused with 0x87")
def _(world):
    server = world.line()
    device, other = server.api.device(), server.api.device()
    answer = publish(server, device["device_id"], device["auth_token"], other["topic"], messages(1), 5, 1)
    equal(answer.get("code"), 0x87, str(answer))
    equal(server.api.raw(other["device_id"], "power"), [], "the other's readings")
