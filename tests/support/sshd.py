"""A real sshd on the loopback, with host key, users' keys and client configuration of its own."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from support.brokers import free_port

_START_TIMEOUT_S = 60
HOST = "box"


@dataclass
class Sshd:
    """A server that lets this very user in, at a name of its client configuration.

    Sessions get a home of their own, and the `PATH` and other variables that a test gives.
    """

    program: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    #: By which its client configuration knows it.
    name: str = HOST
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def client_config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def target(self) -> str:
        return f"{getpass.getuser()}@{self.name}"

    def start(self) -> None:
        for name in ("host_key", "user_key"):
            if not (self.folder / name).exists():
                subprocess.run(
                    ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / name],
                    check=True,
                )
        self.home.mkdir(exist_ok=True)
        self.trust()
        self.client_config.write_text(
            f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n  IdentitiesOnly yes\n"
            f"  IdentityFile {self.folder / 'user_key'}\n"
            f"  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
        )
        variables = {"HOME": str(self.home)} | self.environment
        settings = " ".join(f'"{key}={value}"' for key, value in variables.items())
        config = self.folder / "sshd_config"
        config.write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {self.folder / 'host_key'}\n"
            f"PidFile none\nAuthorizedKeysFile {self.folder / 'user_key.pub'}\n"
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\n"
            f"PrintMotd no\nSetEnv {settings}\n"
        )
        # Where it separates privileges it wants this folder, which a service would have made.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "-D", "-e", "-f", config], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "sshd.log").read_text()
                assert time.monotonic() < deadline, "sshd did not start"
                time.sleep(0.02)
            else:
                return

    def trust(self) -> None:
        """Let the client know the server's key, as after a first visit."""
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        self.known_hosts.write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(_START_TIMEOUT_S)
            self.process = None
