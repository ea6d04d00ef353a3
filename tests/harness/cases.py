"""The runner: named cases, one after the other, a closing line with counts.

A case is a function with @case("what it shows"). It gets a `World`, which makes scratch directories and servers and
ends them after the case. Whatever it raises fails it; `Skip` says that it cannot run here, which fails too under CI=true.
"""

import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback

from harness.server import Server

CASES = []


class Skip(Exception):
    """The case cannot run on this machine; the message says what is missing and how to get it."""


def case(what):
    def add(function):
        subject = function.__module__.split(".")[-1].removesuffix("_cases")
        CASES.append((f"{subject}: {what}", function))
        return function

    return add


class World:
    """What one case uses, and what outlives it: the shared server that most cases talk to."""

    shared = None

    def __init__(self, scratch):
        self.scratch = scratch
        self.servers = []

    def server(self, data=None, **options):
        """A server of the case's own, on a new data directory unless `data` names one; not started yet."""
        server = Server(data or self.directory() / "data", **options)
        self.servers.append(server)
        return server

    def directory(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.scratch))

    def line(self):
        """The shared server, running."""
        if World.shared is None:
            World.shared = Server(self.directory() / "data").start()
        return World.shared

    def close(self):
        for server in self.servers:
            server.kill()


def run_all(only, keep):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="tidewater-tests-"))
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for name, function in [(name, function) for name, function in CASES if only in name]:
        started = time.monotonic()
        outcome, detail = run_one(function, World(scratch))
        counts[outcome] += 1
        print(f"{outcome:8} {name} ({time.monotonic() - started:.1f} s)", flush=True)
        if detail:
            print("    " + detail.strip().replace("\n", "\n    "), flush=True)
    if World.shared is not None:
        World.shared.kill()
    if keep or counts["failed"]:
        print(f"data directories and logs: {scratch}")
    if not keep:
        trim_to_logs(scratch) if counts["failed"] else shutil.rmtree(scratch)
    skipped = f", {counts['skipped']} skipped" if counts["skipped"] else ""
    print(f"{counts['passed']} passed, {counts['failed']} failed{skipped}")
    return 1 if counts["failed"] or not counts["passed"] else 0


def run_one(function, world):
    try:
        function(world)
        return "passed", ""
    except Skip as skip:
        outcome = "failed" if os.environ.get("CI") == "true" else "skipped"
        return outcome, str(skip)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        logs = "".join(f"\n--- {server.log}\n{server.log_tail()}" for server in world.servers or [World.shared] if server)
        return "failed", "".join(traceback.format_exception(error, limit=-4)) + logs
    finally:
        world.close()


def trim_to_logs(scratch):
    """A failed run keeps its logs, not gigabytes of journal."""
    for path in scratch.rglob("*"):
        if path.is_file() and path.suffix != ".log" and path.stat().st_size > 1 << 20:
            path.unlink()


def equal(found, expected, what="answer"):
    if found != expected:
        raise AssertionError(f"{what}:\nfound    {shorten(found)}\nexpected {shorten(expected)}")


def contains(text, *parts):
    for part in parts:
        if part.lower() not in text.lower():
            raise AssertionError(f"this does not say '{part}':\n{text.strip()}")


def eventually(find, expected, what="answer", seconds=15):
    """Waits until `find()` gives `expected`; fails with the last difference."""
    deadline = time.monotonic() + seconds
    while (found := find()) != expected and time.monotonic() < deadline:
        time.sleep(0.02)
    equal(found, expected, what)
    return found


def shorten(value, limit=1500):
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]} … {text[-limit // 2 :]}"
