"""Recorded weather, replayed with its original timestamps through MQTT and HTTP.

The series ship with the PyPI package vega_datasets: hourly temperatures of Seattle and San Francisco in 2010, and
Seattle's daily weather from 2012 to 2015. What the query API answers is compared with what Python's csv, statistics and
datetime make of the files: no code of ours is in that computation.
"""

import csv
import datetime
import json
import pathlib
import statistics
import sysconfig

import paho.mqtt.client as paho

from clients.paho_cases import Client
from harness.cases import case, equal, eventually

DATA = pathlib.Path(sysconfig.get_paths()["purelib"]) / "vega_datasets/_data"
DAY = 86_400_000
EXACT = 1e-9


def series(name):
    """(ts in Unix ms, row) of a recorded file, in file order; its clock is taken as UTC."""
    with open(DATA / name, newline="") as file:
        return [(unix_ms(row["date"]), row) for row in csv.DictReader(file)]


def unix_ms(text):
    for form in ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"):
        try:
            return int(datetime.datetime.strptime(text, form).replace(tzinfo=datetime.UTC).timestamp() * 1000)
        except ValueError:
            continue
    raise ValueError(text)


def days(values):
    """Start of day → values of that day."""
    grouped = {}
    for ts, value in values:
        grouped.setdefault(ts - ts % DAY, []).append(value)
    return grouped


def by_http(server, device, messages):
    """In bodies of 1,000, as NDJSON."""
    for at in range(0, len(messages), 1000):
        body = "\n".join(messages[at : at + 1000]).encode()
        headers = {"content-type": "application/x-ndjson"}
        path = f"/v1/ingest/{device['device_id']}"
        status, answer = server.api.request("POST", path, body, headers, key=device["auth_token"])
        equal((status, answer.get("accepted")), (202, len(messages[at : at + 1000])), str(answer))


def by_mqtt(server, device, messages):
    client = Client(server, device["device_id"], device["auth_token"], paho.MQTTv5)
    client.publish(device["topic"], messages, 1)
    client.end()


def hourly(values):
    return [json.dumps({"ts": ts, "seq": seq, "metrics": {"temperature": value}}) for seq, (ts, value) in enumerate(values)]


def compare(server, device, metric, values):
    """Every reading, and the daily mean, least, greatest and count."""
    id = device["device_id"]
    first, last = values[0][0], values[-1][0] + 1
    expected = [(ts, value, seq) for seq, (ts, value) in enumerate(values)]
    eventually(lambda: server.api.raw(id, metric, first, last) == expected, True, "every reading is read back", 30)
    asked = {"resolution": "1d", "agg": "avg,min,max,count"}
    buckets = {point["ts"]: point for point in server.api.points(id, metric, first, last, **asked)}
    grouped = days(values)
    equal(sorted(buckets), sorted(grouped), "days")
    for day, readings in grouped.items():
        found = buckets[day]
        equal((found["min"], found["max"], found["count"]), (min(readings), max(readings), len(readings)), f"day {day}")
        mean = statistics.fmean(readings)
        equal(abs(found["avg"] - mean) < EXACT, True, f"day {day}: mean {found['avg']}, from the file {mean}")


def replayed(what, name, send):
    @case(f"{what}: daily means equal those of the file, after a restart too")
    def _(world):
        server = world.server().start()
        device = server.api.device("weather-station", metadata={"source": name})
        values = [(ts, float(row["temp"])) for ts, row in series(name)]
        send(server, device, hourly(values))
        compare(server, device, "temperature", values)
        equal(server.stop(), 0, "exit code")
        compare(server.start(), device, "temperature", values)


replayed("Seattle, 8,758 hourly temperatures over MQTT", "seattle-temps.csv", by_mqtt)
replayed("San Francisco, 8,759 hourly temperatures over HTTP", "sf-temps.csv", by_http)


@case("Seattle's daily weather 2012–2015, six metrics a message, half over MQTT, half over HTTP")
def _(world):
    server = world.server().start()
    device = server.api.device("weather-station")
    rows = series("seattle-weather.csv")
    numbers = ("precipitation", "temp_max", "temp_min", "wind")
    messages = [
        json.dumps({"ts": ts, "seq": seq, "metrics": {**{n: float(row[n]) for n in numbers}, "weather": row["weather"]}})
        for seq, (ts, row) in enumerate(rows)
    ]
    half = len(messages) // 2
    by_mqtt(server, device, messages[:half])
    by_http(server, device, messages[half:])
    for name in numbers:
        compare(server, device, name, [(ts, float(row[name])) for ts, row in rows])
    words = [(ts, row["weather"], seq) for seq, (ts, row) in enumerate(rows)]
    equal(server.api.raw(device["device_id"], "weather", rows[0][0]), words, "words are read back as words")
    asked = {"resolution": "all", "agg": "avg,max,min,count"}
    [whole] = server.api.points(device["device_id"], "temp_max", rows[0][0], rows[-1][0] + 1, **asked)
    highs = [float(row["temp_max"]) for _, row in rows]
    equal((whole["max"], whole["min"], whole["count"]), (max(highs), min(highs), len(highs)), "four years in one bucket")
    equal(abs(whole["avg"] - statistics.fmean(highs)) < EXACT, True, "mean of four years")
