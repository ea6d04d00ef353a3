"""Power cuts: `tidewater fault power-cut` runs journal, pipeline and store on a simulated disk that loses what was not synced,
cuts the power at any operation, starts again, and compares everything with a model.

CRASH_TIME says for how long (12s by default, 10m in `make crash`), CRASH_SEED where the seeds begin (1; elsewhere each time in
`make crash`). The negative controls run the binary with feature `sabotage`, with one guard broken at a time: the same
comparison must see it.
"""

import json
import os
import subprocess

from harness.cases import Skip, case, equal
from harness.server import BIN, SABOTAGE_BIN

TIME = os.environ.get("CRASH_TIME", "12s")
SEED = int(os.environ.get("CRASH_SEED", "1"))
# Rounds in which a broken guard has to show; each of them shows within a few.
CONTROL_ROUNDS = 60
# The guard, and how its absence shows.
GUARDS = {
    "data-sync": ("lost", "does not open", "is not what was accepted", "missing"),
    "directory-sync": ("lost", "does not open", "is not what was accepted", "missing"),
    "early-ack": ("lost",),
    "swapped-records": ("is not what was accepted",),
    "no-dedup": ("twice",),
}


def power_cut(binary, *arguments):
    """Its exit code and its report."""
    command = [str(binary), "fault", "power-cut", "--json", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, stdin=subprocess.DEVNULL)
    try:
        return done.returncode, json.loads(done.stdout)
    except json.JSONDecodeError:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}") from None


@case(f"{TIME} of power cuts at any operation of the disk: everything is what the model says")
def _(world):
    code, report = power_cut(BIN, "--seed", SEED, "--rounds", 1_000_000, "--for", TIME)
    failure = report.pop("failure")
    print(f"    seed {SEED}: {json.dumps(report)}", flush=True)
    trace = "\n".join(failure["trace"]) if failure else ""
    equal(failure, None, f"failure:\n{trace}")
    equal(code, 0, "exit code")
    for count in ("cuts", "cuts_in_recovery", "kills", "stops", "segments_trimmed", "blocks_removed", "snapshots", "duplicates"):
        equal(report[count] > 0, True, count)


@case("negative controls: each guard that is broken is seen, and its seed fails the same way again")
def _(world):
    if not SABOTAGE_BIN.exists():
        raise Skip(f"no {SABOTAGE_BIN}: build it with `scripts/check crash`")
    for guard, signs in GUARDS.items():
        code, report = power_cut(SABOTAGE_BIN, "--seed", 1, "--rounds", CONTROL_ROUNDS, "--break", guard)
        failure = report["failure"]
        equal((code, failure is not None), (1, True), f"{guard}: it is seen")
        print(f"    {guard}: seed {failure['seed']}, life {failure['life']}: {failure['what'][:110]}", flush=True)
        equal(any(sign in failure["what"] for sign in signs), True, f"{guard}: {failure['what']}")
        _, again = power_cut(SABOTAGE_BIN, "--seed", failure["seed"], "--rounds", 1, "--break", guard)
        equal(again["failure"], failure, f"{guard}: the same failure again")
