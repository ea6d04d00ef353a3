"""The server under test: the shipped binary on a data directory of its own, all listeners on free ports."""

import json
import os
import pathlib
import signal
import subprocess
import time

from harness.api import Api

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BIN_DIR = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "check/bin"
BIN = pathlib.Path(os.environ.get("TIDEWATER_BIN", BIN_DIR / "tidewater"))
SABOTAGE_BIN = pathlib.Path(os.environ.get("TIDEWATER_SABOTAGE_BIN", BIN_DIR / "tidewater-sabotage"))
FREE_PORTS = ("--mqtt", "127.0.0.1:0", "--http", "127.0.0.1:0", "--operations", "127.0.0.1:0")


class Server:
    def __init__(self, data, command=("serve",), binary=BIN, environment=None):
        self.data = pathlib.Path(data)
        self.command = [str(binary), command[0], "--data", str(self.data), *FREE_PORTS, *command[1:]]
        self.environment = {**os.environ, **(environment or {})}
        self.log = self.data.parent / f"{self.data.name}.log"
        self.process = None

    def start(self, wait_seconds=60):
        """Starts the process and returns when it has written the addresses that it listens on."""
        listen = self.data / "listen.json"
        listen.unlink(missing_ok=True)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        deadline = time.monotonic() + wait_seconds
        while not listen.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.command} ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.command}: no {listen} after {wait_seconds} s:\n{self.log_tail()}")
            time.sleep(0.01)
        self.listen = json.loads(listen.read_text())
        self.api = Api(self.listen["http"], self.admin_key())
        return self

    def keep_ports(self):
        """Later starts take the addresses of this one."""
        for name, address in self.listen.items():
            if f"--{name}" in self.command:
                self.command[self.command.index(f"--{name}") + 1] = address

    def admin_key(self):
        return (self.data / "admin.key").read_text().strip()

    def address(self, listener):
        """(host, port) of `mqtt`, `http` or `operations`."""
        host, port = self.listen[listener].rsplit(":", 1)
        return host, int(port)

    def stop(self, wait_seconds=30):
        """SIGTERM; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(wait_seconds)

    def kill(self):
        """SIGKILL, and gone when this returns."""
        if self.process is not None and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log_tail(self, lines=15):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""
