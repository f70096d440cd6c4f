"""One command that runs on a box: fed, watched, and ended where somebody wishes so."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import shlex
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from importlib import resources
from typing import IO, Self

import msgspec

from fleet.deploy.interrupt import Interrupt
from fleet.deploy.remote_runner import Request
from fleet.errors import DeployInterruptedError

_RUNNER = resources.files("fleet.deploy").joinpath("remote_runner.py")
#: Reads the runner from standard input, so that neither `ps` nor sudo's log shows a program.
_BOOTSTRAP = "import sys; exec(sys.stdin.buffer.read(int(sys.stdin.buffer.readline())))"
_STOP = b"stop\n"
_SIGN_OF_LIFE = b"\n"
_SIGN_EVERY_S = 15.0
_LOOK_S = 0.2
#: Above what the runner takes to end a script.
_STOP_PATIENCE_S = 20.0
_CHUNK_BYTES = 256 * 1024


class BoxLock(msgspec.Struct, frozen=True, kw_only=True):
    """The lock of a box, as the scripts of one deploy share it."""

    #: Python of the box, for the runner.
    python: str
    path: str
    token: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex)
    by: str = msgspec.field(default_factory=lambda: f"{getpass.getuser()}@{socket.gethostname()}")
    since: str = msgspec.field(
        default_factory=lambda: dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    )

    #: Without a sign of life for so long the box lets go of it; signs come every 15 s.
    silent_s: float = 60.0

    @property
    def words(self) -> list[str]:
        """Command line of the runner."""
        return [self.python, "-P", "-c", _BOOTSTRAP]

    def preamble(
        self,
        script: str | None,
        *,
        doing: str = "",
        content_bytes: int | None = None,
        finish: bool = False,
    ) -> bytes:
        """What the runner reads first: itself, and the request."""
        request = Request(
            lock=self.path,
            token=self.token,
            by=self.by,
            since=self.since,
            doing=doing,
            script=script,
            content_bytes=content_bytes,
            finish=finish,
            silent_s=self.silent_s,
        )
        program = _RUNNER.read_bytes()
        return b"%d\n%b%b\n" % (len(program), program, json.dumps(request).encode())


def as_root_words(words: list[str], *, asks_password: bool) -> list[str]:
    """The same command through sudo."""
    # -k: the password is read even where sudo still remembers one; it is not part of what the
    # command is to read.
    asking = ["-k", "-S", "-p", ""] if asks_password else ["-n"]
    return ["sudo", *asking, "--", *words]


class RemoteCommand:
    """A command over ssh; use it in `with`, which ends it.

    Args:
        ssh_words: how ssh is called, up to the command.
        words: the command.
        interrupt: whether somebody wishes it to end.
        is_guarded: whether the runner is at the other end, which is told to stop; any other
            command is left to itself.
    """

    def __init__(
        self, ssh_words: list[str], words: list[str], *, interrupt: Interrupt, is_guarded: bool
    ) -> None:
        self._interrupt = interrupt
        self._is_guarded = is_guarded
        self._process = subprocess.Popen(
            [*ssh_words, shlex.join(words)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C at the terminal is for this program, which then ends what runs there.
            process_group=0,
        )
        stdin = self._process.stdin
        assert stdin is not None  # noqa: S101 - it was asked for
        # Not closed by communicate: its end tells the box that nobody is here any more.
        self._stdin: IO[bytes] = stdin
        self._process.stdin = None

    def __enter__(self) -> Self:
        """Nothing more than at the beginning."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it, where it has not ended."""
        self.close_input()
        if self._process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_PATIENCE_S if self._is_guarded else _LOOK_S)
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()

    @property
    def returncode(self) -> int:
        """Exit code of ssh, which is that of the command."""
        return int(self._process.returncode)

    def write(self, content: bytes) -> None:
        """Hand bytes to the command; one that has ended takes none."""
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._stdin.write(content)
            self._stdin.flush()

    def write_all(
        self, content: IO[bytes], count: int, on_sent: Callable[[int], None] | None
    ) -> None:
        """Hand `count` bytes of a file to the command.

        Raises:
            DeployInterruptedError: somebody wishes to end; the rest is not sent.
        """
        while count and (chunk := content.read(min(count, _CHUNK_BYTES))):
            count -= len(chunk)
            self._interrupt.check()
            try:
                self._stdin.write(chunk)
                self._stdin.flush()
            except BrokenPipeError:
                # It says why in the end.
                return
            if on_sent is not None:
                on_sent(len(chunk))

    def close_input(self) -> None:
        """Tell the command that nothing more comes."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()

    def first_line(self, begins: str) -> str:
        """The first printed line that begins so; those before are greetings. Empty: none came."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101 - it was asked for
        for line in stdout:
            text = line.decode(errors="replace").strip()
            if text.startswith(begins):
                return text
        return ""

    def result(self, on_wait: Callable[[float], None] | None = None) -> tuple[bytes, bytes]:
        """Standard output and errors, once it has ended.

        Args:
            on_wait: is told now and then for how many seconds it has run.

        Raises:
            DeployInterruptedError: somebody wished to end, and it was ended on the box.
        """
        began = time.monotonic()
        while True:
            try:
                return self._process.communicate(timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                pass
            if on_wait is not None:
                on_wait(time.monotonic() - began)
            if self._interrupt.is_due:
                self._stop()
                message = "interrupted"
                raise DeployInterruptedError(message)

    @contextlib.contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Send signs of life meanwhile, without which the box thinks us gone."""
        is_over = threading.Event()

        def send() -> None:
            while not is_over.wait(_SIGN_EVERY_S):
                self.write(_SIGN_OF_LIFE)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def _stop(self) -> None:
        if self._is_guarded:
            self.write(_STOP)
        self.close_input()
        try:
            self._process.communicate(timeout=_STOP_PATIENCE_S if self._is_guarded else _LOOK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
