"""The command line against a running server: what it prints is what the API says."""

import json
import stat
import struct
import subprocess

from clients.errors_cases import run
from clients.mosquitto_cases import publish
from harness.cases import case, contains, equal, eventually

TS = 1_700_000_000_000


def asked(server, *arguments):
    """Runs a command against the server; returns what it printed as JSON."""
    code, out, err = run(*arguments, "--data", server.data, "--json", seconds=120)
    equal(code, 0, f"{arguments}: {err}")
    return json.loads(out)


@case("a device from registration to query, by commands alone")
def _(world):
    server = world.line()
    device = asked(server, "device", "create", "--class", "pump")
    who = device["device_id"], device["auth_token"], device["topic"]
    for seq in range(60):
        message = json.dumps({"ts": TS + seq * 60_000, "seq": seq, "metrics": {"flow": seq / 4}})
        equal(publish(server, *who, message, "mqttv5", 1), (0, ""), "mosquitto_pub")
    span = ("--from", str(TS), "--to", str(TS + 3_600_000))
    raw = lambda: [p["value"] for p in asked(server, "query", device["device_id"], "flow", *span, "--raw")["points"]]
    eventually(raw, [seq / 4 for seq in range(60)], "raw points")
    code, out, err = run("query", device["device_id"], "flow", *span, "--resolution", "10m", "--agg", "max", "--data", server.data)
    equal(code, 0, err)
    contains(out, "14.75", "▁", "█")
    equal(publish(server, *who, "{}", "mqttv5", 1), (0, ""), "mosquitto_pub")
    letters = lambda: asked(server, "dead-letter", "list", "--device", device["device_id"])["dead_letters"]
    eventually(lambda: [letter["reason"] for letter in letters()], ["metrics-missing"], "dead letters")
    contains(run("dead-letter", "show", letters()[0]["id"], "--data", server.data)[1], "metrics-missing", "{}")


@case("schema check: a schema is tried on a sample without a server")
def _(world):
    directory = world.directory()
    schema, message, binary = directory / "pump.json", directory / "message.json", directory / "message.msgpack"
    schema.write_text('{"properties":{"temperature":{"type":"number","unit":"[degF]","maximum":300}}}')
    message.write_text('[{"ts":1,"temperature":212},{"ts":2,"temperature":301}]')
    binary.write_bytes(b"\x81\xabtemperature\xcb" + struct.pack(">d", 32.0))
    sampled = lambda sample, *more: run("schema", "check", schema, "--sample", sample, "--unit", "temperature=Cel", *more)
    code, out, _ = sampled(binary)
    equal(code, 0)
    contains(out, "temperature    0.0  Cel   double")
    code, out, err = sampled(message)
    equal(code, 1)
    contains(out, "100.0  Cel", "message 1 is a dead letter, out-of-range at /temperature: found 301")
    contains(err, "1 message is rejected")
    code, out, _ = sampled(message, "--json")
    equal((code, json.loads(out)["sample"]["accepted"]), (1, 1), "counts")


@case("device import: 3,000 devices, their tokens in a file that only its owner reads, repeatable")
def _(world):
    server = world.line()
    directory = world.directory()
    fleet, tokens = directory / "fleet.ndjson", directory / "tokens.ndjson"
    lines = [{"device_class": "imported", "metadata": {"number": number}} for number in range(3000)]
    fleet.write_text("".join(json.dumps(line) + "\n" for line in lines))
    code, out, err = run("device", "import", fleet, "--tokens", tokens, "--data", server.data, seconds=300)
    equal(code, 0, out + err)
    equal(stat.S_IMODE(tokens.stat().st_mode), 0o600, "mode of the tokens file")
    made = [json.loads(line) for line in tokens.read_text().splitlines()]
    equal(len({device["device_id"] for device in made}), 3000, "devices")
    device = made[-1]
    topic = f"tenant/{server.api.get('/v1/devices/' + device['device_id'])['tenant_id']}/device/{device['device_id']}/data"
    message = json.dumps({"ts": TS, "seq": 1, "metrics": {"flow": 1.0}})
    equal(publish(server, device["device_id"], device["auth_token"], topic, message, "mqttv311", 1), (0, ""), "its token works")
    code, _, err = run("device", "import", fleet, "--tokens", tokens, "--data", server.data)
    equal(code != 0, True, "an existing tokens file is not overwritten")
    contains(err, str(tokens))


@case("a class's retention counts from receipt: what comes in late is not hidden on arrival")
def _(world):
    server = world.line()
    asked(server, "class", "create", "short-lived", "--hot", "1d", "--warm", "1d", "--cold", "1d")
    device = server.api.device("short-lived")
    body = [{"ts": TS, "seq": 1, "metrics": {"flow": 1.0}}, {"seq": 2, "metrics": {"flow": 2.0}}]
    status, _ = server.api.request("POST", f"/v1/ingest/{device['device_id']}", body, key=device["auth_token"])
    equal(status, 202)
    # Age counts from the later of ts and receipt: what came in late is not old yet.
    eventually(lambda: len(server.api.raw(device["device_id"], "flow")), 2, "readings")


@case("GET /v1/stream: messages as they come")
def _(world):
    server = world.line()
    device = server.api.device("streamed")
    key = f"Authorization: Bearer {server.admin_key()}"
    url = f"http://{server.listen['http']}/v1/stream?device={device['device_id']}"
    command = ["curl", "--silent", "--no-buffer", "--max-time", "20", "-H", key, url]
    stream = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        send = lambda seq: server.api.request(
            "POST", f"/v1/ingest/{device['device_id']}", {"ts": TS, "seq": seq, "metrics": {"flow": 0.5}}
        )
        # The cursor begins where the stream is opened, so the first message is repeated until it is seen.
        seen = []
        for seq in range(200):
            equal(send(seq)[0], 202)
            if seen := readable(stream, 0.1):
                break
        contains("".join(seen), '"flow":0.5', device["device_id"])
    finally:
        stream.kill()
        stream.wait()


def readable(process, seconds):
    import select

    ready, _, _ = select.select([process.stdout], [], [], seconds)
    return [process.stdout.readline() for _ in range(3)] if ready else []


@case("operations: live, ready, and metrics that count what came in")
def _(world):
    server = world.server().start()
    device = server.api.device()
    body = [{"seq": seq, "metrics": {"flow": 1.0}} for seq in range(7)] + [{"seq": 8}]
    equal(server.api.request("POST", f"/v1/ingest/{device['device_id']}", body)[0], 202)
    eventually(lambda: len(server.api.raw(device["device_id"], "flow")), 7, "readings")
    get = lambda path: subprocess.run(
        ["curl", "--silent", "--fail", f"http://{server.listen['operations']}{path}"], capture_output=True, text=True
    )
    equal((get("/live").returncode, get("/ready").returncode), (0, 0), "live and ready")
    metrics = get("/metrics").stdout
    contains(metrics, "tidewater_messages_accepted_total 7", 'tidewater_messages_rejected_total{reason="metrics-missing"} 1')
    equal(device["device_id"] in metrics, False, "no label from a device id")
