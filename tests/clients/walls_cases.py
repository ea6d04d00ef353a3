"""Tenants are walls: what one tenant registered, another one's administrator can neither see, change nor write to."""

import json

import paho.mqtt.client as paho

from clients.paho_cases import Client, messages
from harness.cases import case, equal, eventually


@case("another tenant's administrator: every verb on a device answers as if it did not exist")
def _(world):
    server = world.line()
    device = server.api.device("walled")
    stranger = server.api.tenant("stranger-http")
    path = f"/v1/devices/{device['device_id']}"
    asked = [
        ("GET", path, None),
        ("PATCH", path, {"status": "inactive"}),
        ("DELETE", path, None),
        ("POST", f"{path}/token", {}),
        ("GET", f"{path}/metrics?metric=level", None),
        ("GET", f"{path}/latest", None),
        ("GET", f"{path}/events", None),
        ("POST", f"/v1/ingest/{device['device_id']}", {"metrics": {"level": 1}}),
    ]
    for method, target, body in asked:
        status, answer = stranger.request(method, target, body)
        equal(status, 404, f"{method} {target}: {answer}")
    for target, field in (("/v1/devices", "devices"), ("/v1/dead-letters", "dead_letters")):
        equal(stranger.get(target)[field], [], target)
    equal("walled" in json.dumps(stranger.request("GET", "/v1/classes")[1]), False, "classes")
    equal(server.api.request("GET", path)[1]["status"], "active", "the device is as it was")


@case("a tenant named in the payload or the header changes nothing")
def _(world):
    server = world.line()
    device = server.api.device()
    stranger = server.api.tenant("stranger-payload")
    tenant = stranger.device()["tenant_id"]
    body = {"ts": 1, "seq": 1, "tenant_id": tenant, "metrics": {"level": 1.5}, "tags": {"tenant_id": tenant}}
    path = f"/v1/ingest/{device['device_id']}"
    status, answer = server.api.request("POST", path, body, {"x-tenant-id": tenant}, key=device["auth_token"])
    equal((status, answer["accepted"]), (202, 1))
    eventually(lambda: server.api.raw(device["device_id"], "level"), [(1, 1.5, 1)], "under its own tenant")


@case("MQTT: another tenant's key may not publish for a device")
def _(world):
    server = world.line()
    device = server.api.device()
    stranger = server.api.tenant("stranger-mqtt")
    own = stranger.device()
    forged = own["topic"].replace(own["device_id"], device["device_id"])
    client = Client(server, "key", stranger.key, paho.MQTTv5)
    for topic in (device["topic"], forged):
        equal([reason.value for reason in client.publish(topic, messages(1), 1)], [0x87], topic)
    client.end()
    equal(server.api.raw(device["device_id"], "level"), [], "readings")


@case("an API key can do what its rights say, and no more")
def _(world):
    server = world.line()
    device = server.api.device()
    path = f"/v1/devices/{device['device_id']}"
    verbs = {
        "ingest": ("POST", f"/v1/ingest/{device['device_id']}", {"metrics": {"level": 1}}),
        "query": ("GET", f"{path}/latest", None),
        "devices": ("PATCH", path, {"metadata": {"a": 1}}),
        "dead-letters": ("GET", "/v1/dead-letters", None),
        "admin": ("GET", "/v1/keys", None),
    }
    for right in verbs:
        status, key = server.api.request("POST", "/v1/keys", {"name": f"only-{right}", "rights": [right]})
        equal(status, 201, str(key))
        for verb, (method, target, body) in verbs.items():
            status, answer = server.api.request(method, target, body, key=key["token"])
            if verb == right:
                equal(status in (200, 202), True, f"{right}: {method} {target}: {status} {answer}")
            elif right != "admin":
                equal(status, 403, f"{right} may not {verb}: {method} {target}: {answer}")
