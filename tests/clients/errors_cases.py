"""What a person reads when something is wrong: what it is, where, and what to do; and an exit code that is not 0."""

import json
import re
import socket
import subprocess
import uuid

from harness.cases import case, contains, equal, eventually
from harness.server import BIN, FREE_PORTS


def run(*arguments, seconds=30, **options):
    """Runs the binary to its end; returns (exit code, standard output, standard error)."""
    command = [str(BIN), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout, done.stderr


def fails(*arguments, says):
    code, out, err = run(*arguments)
    equal(code != 0, True, f"exit code of {arguments}")
    contains(err, *says)
    equal("panicked" in err, False, "no panic")
    return err


@case("an unknown key, a wrong type and a bad address in the configuration: all said at once, each with its line")
def _(world):
    config = world.directory() / "tidewater.toml"
    config.write_text('[mqtt]\nlisten = "nonsense"\nkeepalive = 3\n\n[journal]\nretention_bytes = true\n')
    says = (config.name, "keepalive", "listen", "retention_bytes", ":2", ":3", ":6")
    fails("check-config", "--config", config, says=says)
    fails("serve", "--config", config, "--data", world.directory() / "data", *FREE_PORTS, says=says)


@case("check-config on a good file: exit code 0")
def _(world):
    config = world.directory() / "tidewater.toml"
    config.write_text('[mqtt]\nlisten = "127.0.0.1:0"\n')
    code, out, err = run("check-config", "--config", config)
    equal(code, 0, out + err)


@case("a configuration file that is not there")
def _(world):
    fails("serve", "--config", world.directory() / "absent.toml", says=("absent.toml",))


def busy(listener):
    @case(f"a port in use for --{listener}: names the address and what to do")
    def _(world):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            ports = [address if FREE_PORTS[at - 1] == f"--{listener}" else word for at, word in enumerate(FREE_PORTS)]
            data = world.directory() / "data"
            fails("serve", "--data", data, *ports, says=(address, "in use", f"--{listener}"))


for name in ("mqtt", "http", "operations"):
    busy(name)


@case("a data directory of another version")
def _(world):
    server = world.server().start()
    equal(server.stop(), 0, "exit code")
    (server.data / "version").write_text("999\n")
    fails("serve", "--data", server.data, *FREE_PORTS, says=(str(server.data), "999", "--data"))


@case("a second start on the same directory names the owner's pid, and the first goes on")
def _(world):
    server = world.server().start()
    fails("serve", "--data", server.data, *FREE_PORTS, says=(str(server.data), str(server.process.pid)))
    equal((server.data / "lock").read_text().strip(), str(server.process.pid), "DIR/lock")
    equal(json.loads((server.data / "listen.json").read_text()), server.listen, "listen.json")
    server.api.device()


@case("a directory that cannot be written")
def _(world):
    file = world.directory() / "file"
    file.write_text("not a directory")
    fails("serve", "--data", file / "data", *FREE_PORTS, says=(str(file),))


@case("--dev-anonymous refuses an address that is not loopback")
def _(world):
    data = world.directory() / "data"
    fails("serve", "--data", data, *FREE_PORTS, "--dev-anonymous", "0.0.0.0:0", says=("loopback",))


@case("unknown commands and options: exit code 2 and a hint")
def _(world):
    for arguments in (["serv"], ["serve", "--dta", "x"], []):
        code, _, err = run(*arguments)
        equal(code, 2, f"exit code of {arguments}")
        contains(err, "usage")


@case("every command has --help with an example")
def _(world):
    code, out, err = run("--help")
    equal(code, 0, err)
    commands = (
        "serve demo simulate tenant key class device query dead-letter journal check-config bench verify".split()
    )
    for command in commands:
        code, out, err = run(command, "--help")
        equal(code, 0, f"{command} --help: {err}")
        contains(out, "example", f"tidewater {command}")


@case("problem documents: wrong key, unknown device, bad parameter, unknown path, wrong method")
def _(world):
    server = world.line()
    api, id = server.api, server.api.device()["device_id"]
    asked = [
        (("GET", f"/v1/devices/{id}"), {"key": "twk_nonsense"}, 401),
        (("GET", f"/v1/devices/{uuid.uuid4()}"), {}, 404),
        (("GET", "/v1/devices/not-a-uuid"), {}, 400),
        (("GET", f"/v1/devices/{id}/metrics"), {}, 400),
        (("GET", f"/v1/devices/{id}/metrics?metric=t&resolution=banana"), {}, 400),
        (("GET", f"/v1/devices/{id}/metrics?metric=t&from=tomorrow"), {}, 400),
        (("GET", f"/v1/devices/{id}/metrics?metric=t&agg=median&resolution=1m"), {}, 400),
        (("GET", "/v1/nothing"), {}, 404),
        (("PUT", "/v1/devices"), {}, 405),
        (("POST", "/v1/devices", b"{"), {"headers": {"content-type": "application/json"}}, 400),
        (("POST", "/v1/devices", {"device_clas": "typo"}), {}, 400),
    ]
    for request, options, expected in asked:
        status, body = api.request(*request, **options)
        equal(status, expected, f"{request}: {body}")
        equal(isinstance(body, dict) and body.get("status"), expected, f"{request}: a problem document, not {body!r}")
        equal(bool(body["title"] and body["code"] and body["detail"]), True, f"{request}: title, code, detail in {body}")
    codes = {body["code"] for body in (api.request(*r, **o)[1] for r, o, _ in asked)}
    equal(len(codes) >= 4, True, f"codes tell kinds apart: {codes}")


def journaled(world):
    """A data directory whose server was killed after five messages, and how to damage the copy of one of them."""
    server = world.server().start()
    device = server.api.device()
    for seq in range(1, 6):
        body = {"seq": seq, "ts": seq, "metrics": {"level": seq / 2}}
        equal(server.api.request("POST", f"/v1/ingest/{device['device_id']}", body)[0], 202)
    eventually(lambda: len(server.api.raw(device["device_id"], "level")), 5, "readings")
    server.kill()
    equal(run("journal", "check", "--data", server.data)[0], 0, "exit code for a sound journal")

    def damage(seq):
        # The next segment may have been named already: the first one has the messages.
        segment = min(path for path in (server.data / "journal/raw").rglob("*.segment") if "spare" not in path.name)
        with open(segment, "r+b") as file:
            file.seek(file.read().index(b'"seq": %d' % seq))
            file.write(b"XXXXX")

    return server, device, damage


@case("a torn tail is cut, and check and start say how many bytes that was")
def _(world):
    server, device, damage = journaled(world)
    damage(5)
    code, out, err = run("journal", "check", "--data", server.data)
    equal(code, 0, out + err)
    torn = re.search(r"torn tail: (\d+) bytes", out + err)
    equal(torn is not None and int(torn.group(1)) > 0, True, out + err)
    server.start()
    contains(server.log.read_text(), torn.group(1))
    expected = [(seq, seq / 2, seq) for seq in range(1, 5)]
    eventually(lambda: server.api.raw(device["device_id"], "level"), expected, "what is before the tear")


@case("damage in the middle of the journal is never taken for its end: check fails and names the offsets")
def _(world):
    server, _, damage = journaled(world)
    damage(2)
    before = {path: path.read_bytes() for path in (server.data / "journal/raw").rglob("*.segment")}
    fails("journal", "check", "--data", server.data, says=("damaged",))
    contains(run("journal", "check", "--data", server.data)[1], "0-1 up to 0-2")
    equal({path: path.read_bytes() for path in before} == before, True, "checking changes nothing")
