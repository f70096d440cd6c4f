"""Runs one task in one fresh worker process and survives whatever becomes of it."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import msgspec

from agent.confinement import Confinement
from agent.errors import StoppedError
from agent.logs import fields
from agent.postmortem import explain_death, last_words
from agent.protocol import Entered, Event, Failed, Stage, Task
from contract.benchmark import LimitKind, RunStatus

_log = logging.getLogger(__name__)

#: Starts a worker; what lies in the present folder is not imported.
WORKER = [sys.executable, "-P", "-m", "agent.worker"]
#: Short against a load, long against the microseconds that one look costs.
_LOOK_SECONDS = 0.02
#: While the worker measures: where both share a core, every look is in the samples.
_QUIET_LOOK_SECONDS = 0.25
_EXIT_SECONDS = 5.0

Kind = TypeVar("Kind", bound=Event)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one worker may use."""

    timeout_s: float
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a task ended: OK with the worker's events, or another status with the reason."""

    status: RunStatus
    reason: str | None
    events: list[Event]
    duration_s: float
    #: Highest resident set seen from outside, the import of large libraries included.
    seen_rss_bytes: int
    #: Most anonymous memory seen from outside; 0 where the kernel does not tell it.
    seen_anonymous_bytes: int = 0
    limit_kind: LimitKind | None

    def last_event(self, kind: type[Kind]) -> Kind | None:
        """Last event of a kind that the worker sent, or None."""
        return next((e for e in reversed(self.events) if isinstance(e, kind)), None)


@dataclass
class _Watch:
    """What is known of a running worker so far."""

    stage: Stage = Stage.STARTING
    events: list[Event] = field(default_factory=list)
    failed: Failed | None = None

    def take(self, event: Event) -> None:
        if isinstance(event, Entered):
            self.stage = event.stage
        elif isinstance(event, Failed):
            self.failed = event
        else:
            self.events.append(event)


class Supervisor:
    """Starts workers, one at a time, each in its own process.

    Args:
        limits: time and memory of one worker.
        stop: set from elsewhere to end the present worker and every later one.
        root: where `/proc` and `/sys` are found.
        on_look: called again and again, many times a second, while a worker is attended.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        stop: threading.Event | None = None,
        root: Path = Path("/"),
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._limits = limits
        self._stop = stop or threading.Event()
        self._root = root
        self._on_look = on_look

    @property
    def limits(self) -> Limits:
        """What one worker may use."""
        return self._limits

    def rest(self, seconds: float) -> None:
        """Start no worker for a while.

        Raises:
            StoppedError: the agent was asked to stop.
        """
        self._on_look()
        if self._stop.wait(seconds):
            message = "stopped between two workers"
            raise StoppedError(message)

    def perform(self, task: Task, *, extra_s: float = 0.0) -> Outcome:
        """Do a task to its end, its failure, or its limits.

        Args:
            task: what to do.
            extra_s: time that the task was asked to take, on top of the limit.

        Raises:
            StoppedError: the agent was asked to stop; the worker is gone.
        """
        started = time.monotonic()
        with tempfile.TemporaryFile() as stderr:
            worker = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=worker_environment(task.threads),
            )
            confinement = Confinement(worker.pid, self._limits.memory_limit_bytes, self._root)
            watch = _Watch()
            try:
                verdict = self._attend(
                    worker,
                    task,
                    watch,
                    confinement,
                    timeout_s=self._limits.timeout_s + extra_s,
                )
                code = _exit_code(worker) if verdict is None else 0
                if watch.failed is not None:
                    verdict = watch.failed.status, watch.failed.reason
                elif code != 0:
                    verdict = explain_death(
                        code,
                        stage=watch.stage,
                        last_words=last_words(stderr),
                        oom_killed=confinement.killed_for_memory(),
                    )
            finally:
                _end(worker)
                confinement.lift()
        status, reason = verdict or (RunStatus.OK, None)
        return Outcome(
            status=status,
            reason=reason,
            events=watch.events,
            duration_s=time.monotonic() - started,
            seen_rss_bytes=confinement.seen_rss_bytes,
            seen_anonymous_bytes=confinement.seen_anonymous_bytes,
            limit_kind=confinement.kind,
        )

    def _attend(
        self,
        worker: subprocess.Popen[bytes],
        task: Task,
        watch: _Watch,
        confinement: Confinement,
        *,
        timeout_s: float,
    ) -> tuple[RunStatus, str] | None:
        """Hear the worker out; a verdict where a limit ended it."""
        deadline = time.monotonic() + timeout_s
        assert worker.stdin is not None  # noqa: S101 - we asked for the pipe
        assert worker.stdout is not None  # noqa: S101 - likewise
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(msgspec.json.encode(task) + b"\n")
            worker.stdin.flush()
        events = _listen(worker.stdout)
        while True:
            self._on_look()
            if self._stop.is_set():
                message = f"stopped while {watch.stage.value}"
                raise StoppedError(message)
            try:
                event = events.get(timeout=_pause_s(watch.stage, confinement))
            except queue.Empty:
                event = None
            else:
                if event is None:
                    return None
                watch.take(event)
            excess = confinement.look(watch.stage)
            if excess is not None:
                return RunStatus.OOM, excess
            if time.monotonic() > deadline:
                reason = f"no answer within {timeout_s:g} s, while {watch.stage.value}"
                return RunStatus.TIMEOUT, reason


def worker_environment(threads: int) -> dict[str, str]:
    """Environment of a worker; OpenMP and MKL read their thread counts only from there."""
    counts = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return os.environ | dict.fromkeys(counts, str(threads)) | {"PYTHONUNBUFFERED": "1"}


def _listen(pipe: IO[bytes]) -> queue.Queue[Event | None]:
    """Queue of a worker's events; None when it closes its pipe."""
    events: queue.Queue[Event | None] = queue.Queue()
    decoder = msgspec.json.Decoder(Event)

    def pump() -> None:
        try:
            for line in pipe:
                try:
                    events.put(decoder.decode(line))
                except msgspec.MsgspecError as error:
                    _log.warning("worker_garbled", extra=fields(error=error))
        except ValueError:
            _log.debug("worker_pipe_closed")
        finally:
            events.put(None)

    threading.Thread(target=pump, daemon=True).start()
    return events


def _pause_s(stage: Stage, confinement: Confinement) -> float:
    """How long to wait before the next look."""
    is_quiet = stage is Stage.MEASURING and not confinement.needs_looking
    return _QUIET_LOOK_SECONDS if is_quiet else _LOOK_SECONDS


def _exit_code(worker: subprocess.Popen[bytes]) -> int:
    """Exit code of a worker that closed its pipe; one that lingers is killed."""
    try:
        return worker.wait(timeout=_EXIT_SECONDS)
    except subprocess.TimeoutExpired:
        worker.kill()
        return worker.wait()


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Make sure that the worker is gone and its pipes are closed."""
    if worker.poll() is None:
        worker.kill()
    worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            # A task that the worker never read may still stand in the pipe.
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
