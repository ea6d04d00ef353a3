"""Starts `tidewater demo` on free ports, pastes the query that it prints into a shell, and watches the answer grow."""

import json
import re
import subprocess
import time

from harness.cases import case, contains, equal

MINUTE = 60_000


def printed(server, pattern, seconds=60):
    """What the demo has printed that matches."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := re.search(pattern, server.log.read_text(errors="replace"), re.MULTILINE):
            return found.group(0).strip()
        time.sleep(0.1)
    raise AssertionError(f"the demo printed nothing like {pattern}:\n{server.log_tail(40)}")


def paste(line):
    """Runs a line in a shell, as a person would."""
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
    return done.stdout


def buckets(line):
    answer = json.loads(paste(line))
    return answer["points"]


@case("within a minute the printed query answers 30 or more one-minute buckets, and it grows")
def _(world):
    server = world.server(command=("demo",)).start(wait_seconds=60)
    started = time.monotonic()
    contains(printed(server, r"http://127\.0\.0\.1:\d+"), server.listen["http"])
    contains(server.log.read_text(), server.admin_key())
    query = printed(server, r"^\s*curl .*resolution=1m.*$")
    points = []
    while len(points) < 30 and time.monotonic() - started < 60:
        points = buckets(query)
        time.sleep(0.2)
    equal(len(points) >= 30, True, f"30 buckets within a minute; there are {len(points)}\n{server.log_tail()}")
    equal(all(after["ts"] - before["ts"] >= MINUTE for before, after in zip(points, points[1:])), True, "a bucket a minute")
    newest, deadline = points[-1], time.monotonic() + 90
    while (latest := buckets(query)[-1]) == newest and time.monotonic() < deadline:
        time.sleep(0.5)
    equal(latest != newest and latest["ts"] >= newest["ts"], True, "the answer grows")
    equal(server.stop(), 0, "exit code on SIGTERM")
