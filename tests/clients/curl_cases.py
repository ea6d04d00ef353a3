"""curl: every form of body that HTTP ingest takes, and what it refuses."""

import gzip
import json
import subprocess
import uuid

from harness.cases import case, contains, equal, eventually

TS = 1_700_000_000_000


def curl(server, path, body, *more, token):
    """POSTs `body` (bytes) with curl; returns (status, decoded answer, content type)."""
    command = ["curl", "--silent", "--show-error", "--max-time", "60", "--data-binary", "@-"]
    command += ["--write-out", "\n%{http_code} %{content_type}", "-H", f"Authorization: Bearer {token}", *more]
    done = subprocess.run([*command, f"http://{server.listen['http']}{path}"], input=body, capture_output=True, timeout=90)
    if done.returncode != 0:
        raise AssertionError(f"curl ended with {done.returncode}: {done.stderr.decode()}")
    text, _, tail = done.stdout.decode().rpartition("\n")
    status, _, content_type = tail.partition(" ")
    return int(status), json.loads(text) if text else None, content_type


def ingest(server, device, body, *more, token=None, path=None):
    path = path or f"/v1/ingest/{device['device_id']}"
    return curl(server, path, body, *more, token=token or device["auth_token"])


JSON = ("-H", "Content-Type: application/json")
NDJSON = ("-H", "Content-Type: application/x-ndjson")


def message(seq):
    return {"ts": TS + seq, "seq": seq, "metrics": {"pressure": 1013.25 + seq / 100}}


def expected(count):
    return [(TS + seq, 1013.25 + seq / 100, seq) for seq in range(count)]


def zstd(body):
    return subprocess.run(["zstd", "--stdout", "--quiet"], input=body, capture_output=True, check=True).stdout


def map_of(fields):
    """MessagePack of {"ts", "seq", "metrics": {"pressure": double}}, written by hand."""
    import struct

    text = lambda name: bytes([0xA0 | len(name)]) + name.encode()
    value = b"\xcb" + struct.pack(">d", fields["metrics"]["pressure"])
    return (
        b"\x83" + text("ts") + b"\xcf" + struct.pack(">Q", fields["ts"]) + text("seq") + b"\xcd" + struct.pack(">H", fields["seq"])
        + text("metrics") + b"\x81" + text("pressure") + value
    )


def cbor_of(fields):
    """CBOR of the same."""
    import struct

    text = lambda name: bytes([0x60 | len(name)]) + name.encode()
    value = b"\xfb" + struct.pack(">d", fields["metrics"]["pressure"])
    return (
        b"\xa3" + text("ts") + b"\x1b" + struct.pack(">Q", fields["ts"]) + text("seq") + b"\x19" + struct.pack(">H", fields["seq"])
        + text("metrics") + b"\xa1" + text("pressure") + value
    )


def accepted(what, count, body, *headers):
    @case(f"{what}: 202, read back exactly")
    def _(world):
        server = world.line()
        device = server.api.device()
        status, answer, _ = ingest(server, device, body, *headers)
        equal((status, answer["accepted"]), (202, count))
        eventually(lambda: server.api.raw(device["device_id"], "pressure"), expected(count), "readings")


array = json.dumps([message(seq) for seq in range(100)]).encode()
lines = b"".join(json.dumps(message(seq)).encode() + b"\n" for seq in range(100))
accepted("one JSON object", 1, json.dumps(message(0)).encode(), *JSON)
accepted("a JSON array", 100, array, *JSON)
accepted("NDJSON", 100, lines, *NDJSON)
accepted("a gzip body", 100, gzip.compress(array), *JSON, "-H", "Content-Encoding: gzip")
accepted("a zstd body", 100, zstd(lines), *NDJSON, "-H", "Content-Encoding: zstd")
accepted("chunked transfer", 100, array, *JSON, "-H", "Transfer-Encoding: chunked")
accepted("MessagePack", 1, map_of(message(0)), "-H", "Content-Type: application/msgpack")
accepted("CBOR", 1, cbor_of(message(0)), "-H", "Content-Type: application/cbor")
# Over 1 MiB: curl asks first (Expect: 100-continue).
large = [message(seq) for seq in range(20_000)]
accepted("20,000 messages in one NDJSON body", 20_000, b"".join(json.dumps(m).encode() + b"\n" for m in large), *NDJSON)


@case("an API key sends for many devices in one body")
def _(world):
    server = world.line()
    devices = [server.api.device() for _ in range(3)]
    items = [{"device_id": device["device_id"], **message(seq)} for seq in range(5) for device in devices]
    status, answer, _ = ingest(server, None, json.dumps(items).encode(), *JSON, token=server.admin_key(), path="/v1/ingest")
    equal((status, answer["accepted"]), (202, 15))
    for device in devices:
        eventually(lambda: server.api.raw(device["device_id"], "pressure"), expected(5), "readings")


@case("an API key sends for many devices: an unknown one is refused by its index, the others are stored")
def _(world):
    server = world.line()
    device = server.api.device()
    items = [{"device_id": device["device_id"], **message(0)}, {"device_id": str(uuid.uuid4()), **message(1)}]
    status, answer, _ = ingest(server, None, json.dumps(items).encode(), *JSON, token=server.admin_key(), path="/v1/ingest")
    equal((status, answer["accepted"], [refused["index"] for refused in answer["refused"]]), (202, 1, [1]))
    eventually(lambda: server.api.raw(device["device_id"], "pressure"), expected(1), "readings")


@case("a wrong token: 401 and a problem document that says so, nothing stored")
def _(world):
    server = world.line()
    device, other = server.api.device(), server.api.device()
    for token in ("twd_nonsense", other["auth_token"], "twk_" + "a" * 43):
        status, answer, content_type = ingest(server, device, array, *JSON, token=token)
        equal(status in (401, 403), True, f"{status} {answer}")
        is_problem(answer, content_type, status)
    equal(server.api.raw(device["device_id"], "pressure"), [], "readings")


def is_problem(answer, content_type, status):
    """RFC 9457 with a stable code and a sentence for a person."""
    contains(content_type, "application/problem+json")
    equal(answer["status"], status, "status in the document")
    equal(bool(answer["title"] and answer["code"] and answer["detail"]), True, f"title, code, detail in {answer}")


@case("an unknown device: 404")
def _(world):
    server = world.line()
    path = f"/v1/ingest/{uuid.uuid4()}"
    status, answer, content_type = ingest(server, None, array, *JSON, token=server.admin_key(), path=path)
    is_problem(answer, content_type, 404)
    equal(status, 404)


def bad_body(what, body, *headers):
    @case(f"{what}: 400 that says where, nothing stored")
    def _(world):
        server = world.line()
        device = server.api.device()
        status, answer, content_type = ingest(server, device, body, *headers)
        equal(status, 400, str(answer))
        is_problem(answer, content_type, 400)
        equal(server.api.raw(device["device_id"], "pressure"), [], "readings")
        equal(server.api.dead_letters(device=device["device_id"]), [], "dead letters")


bad_body("JSON that ends early", b'[{"metrics": {"pressure": 1}}, {"metrics"', *JSON)
bad_body("an array of something else", b'[1, 2, 3]', *JSON)
bad_body("two objects where one belongs", b'{"metrics":{"pressure":1}} {"metrics":{"pressure":2}}', *JSON)
bad_body("an empty body", b"", *JSON)
bad_body("gzip that is none", array, *JSON, "-H", "Content-Encoding: gzip")
bad_body("MessagePack that ends early", map_of(message(0))[:-3], "-H", "Content-Type: application/msgpack")


@case("a bad line of NDJSON is one dead letter, the others are stored")
def _(world):
    server = world.line()
    device = server.api.device()
    body = json.dumps(message(0)).encode() + b'\n{"metrics": oops}\n' + json.dumps(message(1)).encode() + b"\n"
    status, answer, _ = ingest(server, device, body, *NDJSON)
    equal((status, answer["accepted"]), (202, 3))
    eventually(lambda: server.api.raw(device["device_id"], "pressure"), expected(2), "readings")
    reasons = lambda: [letter["reason"] for letter in server.api.dead_letters(device=device["device_id"])]
    eventually(reasons, ["not-well-formed"], "dead letters")


@case("well-formed but not valid: accepted, then a dead letter each with its reason")
def _(world):
    server = world.line()
    device = server.api.device()
    bad = [
        ({"ts": TS}, "metrics-missing"),
        ({"ts": "yesterday", "metrics": {"pressure": 1}}, "ts-invalid"),
        ({"ts": TS, "seq": -1, "metrics": {"pressure": 1}}, "seq-invalid"),
        ({"ts": TS, "metrics": {"pressure": [1]}}, "metric-type"),
        ({"ts": TS, "metrics": {"pressure": 9007199254740993}}, "number-not-exact"),
    ]
    status, answer, _ = ingest(server, device, json.dumps([fields for fields, _ in bad]).encode(), *JSON)
    equal((status, answer["accepted"]), (202, len(bad)))
    reasons = lambda: sorted(letter["reason"] for letter in server.api.dead_letters(device=device["device_id"]))
    eventually(reasons, sorted(reason for _, reason in bad), "reasons")


@case("a bomb: a body that inflates past the limit is refused")
def _(world):
    server = world.line()
    device = server.api.device()
    bomb = zstd(b" " * (80 << 20))
    status, answer, content_type = ingest(server, device, bomb, *NDJSON, "-H", "Content-Encoding: zstd")
    equal(status in (400, 413), True, f"{status} {answer}")
    is_problem(answer, content_type, status)


@case("latest, buckets, CSV: the same numbers in every form")
def _(world):
    server = world.line()
    device = server.api.device()
    ingest(server, device, array, *JSON)
    id = device["device_id"]
    eventually(lambda: len(server.api.raw(id, "pressure")), 100, "readings")
    latest = server.api.get(f"/v1/devices/{id}/latest")["metrics"]["pressure"]
    equal((latest["ts"], latest["value"]), (TS + 99, 1013.25 + 0.99), "latest")
    asked = {"resolution": "all", "agg": "count,min,max,first,last,sum"}
    [bucket] = server.api.points(id, "pressure", TS, TS + 100, **asked)
    values = [value for _, value, _ in expected(100)]
    found = {name: bucket[name] for name in ("count", "min", "max", "first", "last")}
    equal(found, {"count": 100, "min": values[0], "max": values[-1], "first": values[0], "last": values[-1]})
    equal(abs(bucket["sum"] - sum(values)) < 1e-6, True, "sum")
    # `from` belongs to the range, `to` does not.
    equal(len(server.api.points(id, "pressure", TS + 10, TS + 20)), 10, "half-open range")
    query = f"/v1/devices/{id}/metrics?metric=pressure&from={TS}&to={TS + 3}"
    command = ["curl", "--silent", "-H", "Accept: text/csv", "-H", f"Authorization: Bearer {server.admin_key()}"]
    text = subprocess.run([*command, f"http://{server.listen['http']}{query}"], capture_output=True, text=True).stdout
    head, *rows = [line.split(",") for line in text.split()]
    column = head.index("value")
    equal([float(row[column]) for row in rows], values[:3], "CSV")
