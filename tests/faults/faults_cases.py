"""`tidewater fault` on the shipped binary, a few rounds of each scenario, and its negative controls.

A control runs a scenario against the binary in which one guard is broken on purpose (feature `sabotage`; the variable
TIDEWATER_SABOTAGE says which): the same checker must count what that breaks. FAULT_SEED decides moments and choices.
"""

import json
import os
import subprocess

from harness.cases import Skip, case, equal
from harness.server import BIN, SABOTAGE_BIN

SEED = os.environ.get("FAULT_SEED", "7")

# Scenario, rounds of the short form.
SHORT = {
    "terminate": 2,
    "syscalls": 6,
    "recovery": 1,
    "orphans": 3,
    "eio": 3,
    "stall": 1,
    "pause": 1,
    "lost-acks": 2,
    "torn": 2,
    "flips": 6,
    "emfile": 1,
    "clock": 4,
    "walls": 1,
    "poison": 120,
    "topics": 1,
}
# Guard, the scenario that needs it and its rounds, the count that must not be zero without it. An early acknowledgement is
# wrong for as long as a write takes, which a kill at a random moment seldom meets and one at the write itself does.
CONTROLS = [
    ("sync", "kill", 1, "lost"),
    ("ack", "syscalls", 6, "lost"),
    ("order", "kill", 1, "reordered"),
    ("duplicates", "lost-acks", 1, "duplicated"),
    ("tenant", "walls", 1, "wrong_tenant"),
]


def fault(scenario, rounds, binary=BIN, guard=None):
    """Returns the exit code and the outcome."""
    command = [BIN, "fault", scenario, "--rounds", rounds, "--seed", SEED, "--binary", binary, "--json"]
    environment = {**os.environ, **({"TIDEWATER_SABOTAGE": guard} if guard else {})}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL, env=environment
    )
    try:
        return done.returncode, json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"fault ended with {done.returncode}:\n{done.stdout}{done.stderr}") from None


def kept(scenario, rounds):
    @case(f"{scenario}, {rounds} rounds")
    def _(world):
        code, outcome = fault(scenario, rounds)
        if isinstance(outcome["verdict"], dict) and "skipped" in outcome["verdict"]:
            raise Skip(outcome["verdict"]["skipped"])
        print(f"    seed {SEED}: {json.dumps(outcome)}", flush=True)
        equal((outcome["verdict"], code), ("kept", 0), scenario)


def seen(guard, scenario, rounds, count):
    @case(f"negative control: with the guard `{guard}` broken, {scenario} counts {count}")
    def _(world):
        if not SABOTAGE_BIN.exists():
            raise Skip(f"no {SABOTAGE_BIN}: build it with `scripts/check faults`")
        code, outcome = fault(scenario, rounds, SABOTAGE_BIN, guard)
        print(f"    seed {SEED}: {json.dumps(outcome)}", flush=True)
        equal((outcome["counts"][count] > 0, code != 0), (True, True), "it is counted, and fails")


for name, number in SHORT.items():
    kept(name, number)
for control in CONTROLS:
    seen(*control)
