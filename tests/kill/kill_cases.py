"""Kill rounds: `tidewater bench --reconnect` keeps sending while the server is killed and started again, over and over, on
one data directory; `tidewater verify` then compares what was acknowledged with what the server has.

Every fifth round ends the server by SIGTERM instead. KILL_ROUNDS sets the number of rounds (5 by default, 20 in
`make kill`), KILL_SEED the moments, KILL_RATE the messages a second of all generators together. The negative control runs the binary whose guards are broken on purpose (feature
`sabotage`: it acknowledges before it syncs, on a disk that forgets what was not synced): the same checker must see losses.
"""

import json
import os
import random
import signal
import subprocess
import time

from harness.cases import Skip, case, equal
from harness.server import BIN, SABOTAGE_BIN

ROUNDS = int(os.environ.get("KILL_ROUNDS", "5"))
SEED = int(os.environ.get("KILL_SEED", str(int(time.time()))))
MUST_BE_ZERO = ("lost", "unseen", "inconsistent", "duplicated", "reordered", "corrupt", "never_sent", "wrong_tenant")
RATE = int(os.environ.get("KILL_RATE", "12000"))
# Four generators side by side; the default keeps a debug build busy, not drowned.
LOADS = {
    "qos1": ("--qos", "1", "--connections", "8", "--window", "100", "--rate", str(RATE * 8 // 12)),
    "qos2": ("--qos", "2", "--connections", "4", "--window", "20", "--rate", str(RATE // 12), "--boot"),
    "key": ("--qos", "1", "--mqtt-version", "3", "--devices", "100", "--with-key", "--connections", "2", "--rate", str(RATE // 12)),
    "http": ("--http-array", "20", "--connections", "4", "--rate", str(RATE * 2 // 12)),
}


class Load:
    """A generator that goes on through every restart until it is told to end."""

    def __init__(self, name, server, directory):
        self.acked_log = directory / f"{name}.acked"
        self.log = open(directory / f"{name}.log", "wb")
        command = [BIN, "bench", "--data", server.data, "--acked-log", self.acked_log, "--reconnect", "--duration", "600s"]
        command = [*map(str, command), *LOADS[name], "--seed", str(SEED)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True)

    def end(self):
        """Asks it to stop sending and waits for its last acknowledgements."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self.log.close()
        return code

    def said(self):
        return open(self.log.name, errors="replace").read()[-3000:]


def verify(server, load, foreign_key, patience):
    command = [BIN, "verify", "--data", server.data, "--acked-log", load.acked_log, "--json"]
    command += ["--foreign-key", foreign_key, "--wait", patience]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=540, stdin=subprocess.DEVNULL)
    try:
        return done.returncode, json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"verify ended with {done.returncode}:\n{done.stdout}{done.stderr}\n{load.said()}") from None


def rounds(server, loads, count):
    """Starts the server again after each kill, on the ports of the first start, so that the generators find it."""
    moments = random.Random(SEED)
    server.keep_ports()
    slowest = 0.0
    for number in range(1, count + 1):
        time.sleep(moments.uniform(0.3, 1.5))
        for load in loads:
            equal(load.process.poll(), None, f"the generator ended by itself: {load.said()}")
        if number % 5 == 0:
            equal(server.stop(), 0, "exit code on SIGTERM")
        else:
            server.kill()
        started = time.monotonic()
        server.start()
        slowest = max(slowest, time.monotonic() - started)
    time.sleep(1)
    return slowest


def run(world, binary, count, patience):
    """Returns [(name of the load, exit code of verify, counts)]. Verify waits that long for what it does not see yet."""
    server = world.server(binary=binary).start()
    stranger = server.api.tenant("stranger")
    directory = world.directory()
    loads = [Load(name, server, directory) for name in LOADS]
    try:
        slowest = rounds(server, loads, count)
    finally:
        codes = [load.end() for load in loads]
    print(f"    seed {SEED}, {count} rounds, slowest start {slowest:.2f} s", flush=True)
    outcomes = []
    for name, code, load in zip(LOADS, codes, loads):
        equal(code, 0, f"{name}: exit code of bench: {load.said()}")
        outcomes.append((name, *verify(server, load, stranger.key, patience)))
        print(f"    {name}: {json.dumps(outcomes[-1][2])}", flush=True)
    return outcomes


@case(f"{ROUNDS} rounds of kill -9 and restart under QoS 1, QoS 2 and HTTP load: 0 lost, 0 duplicated, 0 reordered")
def _(world):
    for name, code, counts in run(world, BIN, ROUNDS, "30s"):
        equal({key: counts.get(key) or 0 for key in MUST_BE_ZERO}, dict.fromkeys(MUST_BE_ZERO, 0), f"{name}: counts")
        equal(counts["acked"] > 0, True, f"{name}: something was acknowledged")
        equal(code, 0, f"{name}: exit code of verify")


@case("negative control: with its guards broken the same rounds lose messages, and the checker sees it")
def _(world):
    if not SABOTAGE_BIN.exists():
        raise Skip(f"no {SABOTAGE_BIN}: build it with `scripts/check kill`")
    outcomes = run(world, SABOTAGE_BIN, 2, "2s")
    equal(any(counts["lost"] > 0 and code != 0 for _, code, counts in outcomes), True, "losses are reported")
