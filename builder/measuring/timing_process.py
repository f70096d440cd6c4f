"""A worker process that times bundles, seen from outside: it may crash, or hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from types import TracebackType
from typing import Self

import msgspec

from builder.measuring.timing_protocol import TimingAnswer, TimingOrder

_WORKER = "builder.measuring.timing_worker"
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
_END_SECONDS = 10.0


class TimingProcess:
    """Hands orders to one worker, and to a new one after each that died.

    Args:
        limit_seconds: what one order may take before its worker counts as hanging.
        command: starts a worker.
    """

    def __init__(
        self,
        *,
        limit_seconds: float = 600.0,
        command: tuple[str, ...] = (sys.executable, "-m", _WORKER),
    ) -> None:
        self._limit_seconds = limit_seconds
        self._command = command
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed in __exit__
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Return itself: the first order starts the first worker."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the worker."""
        self._end()
        self._complaints.close()

    def ask(self, order: TimingOrder) -> TimingAnswer:
        """Return the worker's answer; its death is an answer too."""
        if self._process is None:
            self._process = self._start()
        process = self._process
        assert process.stdin is not None  # noqa: S101 - started with pipes
        assert process.stdout is not None  # noqa: S101 - likewise
        hung = threading.Event()

        def stop() -> None:
            hung.set()
            process.kill()

        timer = threading.Timer(self._limit_seconds, stop)
        timer.start()
        try:
            process.stdin.write(msgspec.json.encode(order) + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = b""
        finally:
            timer.cancel()
        if line:
            return msgspec.json.decode(line, type=TimingAnswer)
        code = self._end()
        if hung.is_set():
            return TimingAnswer(failure=f"no answer within {self._limit_seconds:g} s")
        return TimingAnswer(failure=f"the timing process {_death(code)}{self._last_words()}")

    def _start(self) -> subprocess.Popen[bytes]:
        self._complaints.truncate(0)
        self._complaints.seek(0)
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, **_ONE_THREAD},
        )

    def _end(self) -> int:
        if self._process is None:
            return 0
        process, self._process = self._process, None
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            return process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _last_words(self) -> str:
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").split("\n")
        spoken = [line.strip() for line in lines if line.strip()]
        return f": {spoken[-1][:300]}" if spoken else ""


def _death(code: int) -> str:
    if code >= 0:
        return f"ended with {code}"
    return f"was ended by {signal.Signals(-code).name}"
