"""paho-mqtt 2.x for Python: long connections, many messages, both versions, refusals as the client sees them."""

import json
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from harness.cases import case, equal, eventually

TS = 1_700_000_000_000


class Client:
    """One connection; `connected`, `closed` say how it went as reason codes."""

    def __init__(self, server, user, password, version, client_id=""):
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version)
        self.client.username_pw_set(user, password)
        self.connected = self.closed = None
        self.acks = {}
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = self.on_disconnect
        self.client.on_publish = self.on_publish
        self.client.max_inflight_messages_set(100)
        self.client.max_queued_messages_set(0)
        self.changed = threading.Condition()
        self.client.connect(*server.address("mqtt"), keepalive=30)
        self.client.loop_start()
        self.wait(lambda: self.connected is not None or self.closed is not None)

    def on_connect(self, client, userdata, flags, reason, properties):
        self.set(connected=reason)

    def on_disconnect(self, client, userdata, flags, reason, properties):
        self.client.loop_stop()
        self.set(closed=reason)

    def on_publish(self, client, userdata, packet_id, reason, properties):
        with self.changed:
            self.acks[packet_id] = reason
            self.changed.notify_all()

    def set(self, **fields):
        with self.changed:
            self.__dict__.update(fields)
            self.changed.notify_all()

    def wait(self, condition, seconds=20):
        with self.changed:
            if not self.changed.wait_for(condition, seconds):
                raise AssertionError(f"no answer in {seconds} s: connected {self.connected}, closed {self.closed}, {len(self.acks)} acks")

    def publish(self, topic, payloads, qos, properties=None):
        """Publishes all and waits for every ack; returns the reason codes."""
        ids = [self.client.publish(topic, payload, qos, properties=properties).mid for payload in payloads]
        self.wait(lambda: all(packet_id in self.acks for packet_id in ids))
        return [self.acks[packet_id] for packet_id in ids]

    def end(self):
        self.client.disconnect()
        self.client.loop_stop()


def messages(count):
    return [json.dumps({"ts": TS + seq, "seq": seq, "metrics": {"level": seq / 8}}) for seq in range(count)]


def expected(count):
    return [(TS + seq, seq / 8, seq) for seq in range(count)]


def many(version, name, qos):
    @case(f"{name}, QoS {qos}: 1,000 messages on one connection, read back exactly, in order")
    def _(world):
        server = world.line()
        device = server.api.device()
        client = Client(server, device["device_id"], device["auth_token"], version)
        client.publish(device["topic"], messages(1000), qos)
        client.end()
        eventually(lambda: server.api.raw(device["device_id"], "level"), expected(1000), "readings")


for protocol, text in ((paho.MQTTv311, "MQTT 3.1.1"), (paho.MQTTv5, "MQTT 5")):
    for level in (0, 1, 2):
        many(protocol, text, level)


@case("an API key publishes for every device of its tenant on one connection")
def _(world):
    server = world.line()
    devices = [server.api.device() for _ in range(10)]
    client = Client(server, "key", server.admin_key(), paho.MQTTv5)
    for device in devices:
        client.publish(device["topic"], messages(20), 1)
    client.end()
    for device in devices:
        eventually(lambda: server.api.raw(device["device_id"], "level"), expected(20), device["device_id"])


@case("MQTT 5: a topic alias stands for the topic")
def _(world):
    server = world.line()
    device = server.api.device()
    client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
    alias = Properties(PacketTypes.PUBLISH)
    alias.TopicAlias = 1
    first, *rest = messages(50)
    client.publish(device["topic"], [first], 1, alias)
    # paho refuses an empty topic only where no alias is given.
    client.publish("", rest, 1, alias)
    client.end()
    eventually(lambda: server.api.raw(device["device_id"], "level"), expected(50), "readings")


@case("a wrong token is told so in CONNACK")
def _(world):
    server = world.line()
    device, other = server.api.device(), server.api.device()
    for version, codes in ((paho.MQTTv311, {0x84, 0x86, 0x87}), (paho.MQTTv5, {0x86, 0x87})):
        client = Client(server, device["device_id"], other["auth_token"], version)
        client.wait(lambda: client.connected is not None)
        equal(client.connected.value in codes, True, f"refused: {client.connected}")
        client.end()


@case("MQTT 5: a foreign topic is refused by its reason code, and the connection lives on")
def _(world):
    server = world.line()
    device, other = server.api.device(), server.api.device()
    client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
    [reason] = client.publish(other["topic"], messages(1), 1)
    equal(reason.value, 0x87, "PUBACK")
    # paho does not look into PUBREC and asks for PUBCOMP all the same, so the code says nothing here.
    client.publish(other["topic"], messages(1), 2)
    equal([reason.value for reason in client.publish(device["topic"], messages(3), 1)], [0, 0, 0], "own topic")
    client.end()
    eventually(lambda: server.api.raw(device["device_id"], "level"), expected(3), "readings")
    equal(server.api.raw(other["device_id"], "level"), [], "the other's readings")


@case("a second connection with the same client id takes over the session")
def _(world):
    server = world.line()
    device = server.api.device()
    who = device["device_id"], device["auth_token"], paho.MQTTv5, "the-same-id"
    first = Client(server, *who)
    first.publish(device["topic"], messages(1), 1)
    second = Client(server, *who)
    first.wait(lambda: first.closed is not None)
    second.publish(device["topic"], messages(2), 1)
    second.end()
    eventually(lambda: server.api.raw(device["device_id"], "level"), expected(2), "readings")


def cut(name, change):
    @case(f"{name}: the live session is closed within a second")
    def _(world):
        server = world.line()
        device = server.api.device()
        client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
        client.publish(device["topic"], messages(1), 1)
        started = time.monotonic()
        status, body = change(server.api, f"/v1/devices/{device['device_id']}")
        equal(status in (200, 201, 204), True, f"{status} {body}")
        client.wait(lambda: client.closed is not None)
        equal(time.monotonic() - started < 1.5, True, "closed in time")
        again = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
        again.wait(lambda: again.connected is not None)
        equal(again.connected.is_failure, True, f"the old token is refused: {again.connected}")
        again.end()


cut("a device made inactive", lambda api, path: api.request("PATCH", path, {"status": "inactive"}))
cut("a new token", lambda api, path: api.request("POST", f"{path}/token", {}))
cut("a deleted device", lambda api, path: api.request("DELETE", path))


@case("a re-send after a reconnect is stored once")
def _(world):
    server = world.line()
    device = server.api.device()
    for _ in range(3):
        client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv311)
        client.publish(device["topic"], messages(40), 1)
        client.end()
    last = [json.dumps({"ts": TS + 10_000, "seq": 40, "metrics": {"level": 5.0}})]
    client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv311)
    client.publish(device["topic"], last, 1)
    client.end()
    eventually(lambda: server.api.raw(device["device_id"], "level"), [*expected(40), (TS + 10_000, 5.0, 40)], "readings")
