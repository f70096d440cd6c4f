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
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

import msgspec
import psutil

from agent import memory
from agent.cgroup import MemoryGroup
from agent.errors import StoppedError
from agent.logs import fields
from agent.postmortem import explain_death, kernel_oom_kills, last_words
from agent.protocol import Entered, Event, Failed, Stage, Task
from contract.benchmark import LimitKind, RunStatus

_log = logging.getLogger(__name__)

#: Starts a worker; what lies in the present folder is not imported.
WORKER = [sys.executable, "-P", "-m", "agent.worker"]
#: Short against a load, long against the microseconds that one look costs.
_LOOK_SECONDS = 0.02
_MEGABYTE = 1e6
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
    seen_rss_bytes: int = 0
    seen_anonymous_bytes: int = 0
    failed: Failed | None = None

    def look(self, rss_bytes: int, anonymous_bytes: int) -> None:
        # What decoding pictures takes is no part of what the variant takes.
        if self.stage is not Stage.EXAMINING:
            self.seen_rss_bytes = max(self.seen_rss_bytes, rss_bytes)
            self.seen_anonymous_bytes = max(self.seen_anonymous_bytes, anonymous_bytes)

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
    """

    def __init__(
        self,
        limits: Limits,
        *,
        stop: threading.Event | None = None,
        root: Path = Path("/"),
    ) -> None:
        self._limits = limits
        self._stop = stop or threading.Event()
        self._root = root

    @property
    def limits(self) -> Limits:
        """What one worker may use."""
        return self._limits

    def perform(self, task: Task, *, extra_s: float = 0.0) -> Outcome:
        """Do a task to its end, its failure, or its limits.

        Args:
            task: what to do.
            extra_s: time that the task was asked to take, on top of the limit.

        Raises:
            StoppedError: the agent was asked to stop; the worker is gone.
        """
        started = time.monotonic()
        kills_before = kernel_oom_kills(self._root)
        with tempfile.TemporaryFile() as stderr:
            worker = subprocess.Popen(
                WORKER,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=worker_environment(task.threads),
            )
            group = self._confine(worker.pid)
            watch = _Watch()
            try:
                verdict = self._attend(
                    worker,
                    task,
                    watch,
                    timeout_s=self._limits.timeout_s + extra_s,
                    confined=group is not None,
                )
                code = _exit_code(worker) if verdict is None else 0
                if watch.failed is not None:
                    verdict = watch.failed.status, watch.failed.reason
                elif code != 0:
                    kills = kernel_oom_kills(self._root) - kills_before
                    verdict = explain_death(
                        code,
                        stage=watch.stage,
                        last_words=last_words(stderr),
                        oom_killed=group.killed_for_memory() if group else kills > 0,
                    )
            finally:
                _end(worker)
                if group:
                    group.remove()
        status, reason = verdict or (RunStatus.OK, None)
        return Outcome(
            status=status,
            reason=reason,
            events=watch.events,
            duration_s=time.monotonic() - started,
            seen_rss_bytes=watch.seen_rss_bytes,
            seen_anonymous_bytes=watch.seen_anonymous_bytes,
            limit_kind=self._limit_kind(group),
        )

    def _confine(self, pid: int) -> MemoryGroup | None:
        limit_bytes = self._limits.memory_limit_bytes
        if limit_bytes is None:
            return None
        name = f"edgewright-{uuid.uuid4().hex[:12]}"
        group = MemoryGroup.create(self._root, name=name, limit_bytes=limit_bytes)
        # The worker waits for its task, so it holds next to nothing when it moves.
        if group is not None and not group.admit(pid):
            group.remove()
            return None
        return group

    def _limit_kind(self, group: MemoryGroup | None) -> LimitKind | None:
        if self._limits.memory_limit_bytes is None:
            return None
        return LimitKind.CGROUP if group else LimitKind.WATCHDOG

    def _attend(
        self,
        worker: subprocess.Popen[bytes],
        task: Task,
        watch: _Watch,
        *,
        timeout_s: float,
        confined: bool,
    ) -> tuple[RunStatus, str] | None:
        """Hear the worker out; a verdict where a limit ended it."""
        deadline = time.monotonic() + timeout_s
        assert worker.stdin is not None  # noqa: S101 - we asked for the pipe
        assert worker.stdout is not None  # noqa: S101 - likewise
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(msgspec.json.encode(task) + b"\n")
            worker.stdin.flush()
        events = _listen(worker.stdout)
        process = _process(worker.pid)
        limit_bytes = self._limits.memory_limit_bytes
        while True:
            if self._stop.is_set():
                message = f"stopped while {watch.stage.value}"
                raise StoppedError(message)
            try:
                event = events.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                event = None
            else:
                if event is None:
                    return None
                watch.take(event)
            rss_bytes = _rss_bytes(process)
            watch.look(rss_bytes, memory.anonymous_bytes(worker.pid) or 0)
            if limit_bytes is not None and not confined and rss_bytes > limit_bytes:
                return RunStatus.OOM, _over_limit(rss_bytes, limit_bytes, watch.stage)
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


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _rss_bytes(process: psutil.Process | None) -> int:
    """Most that a worker has held so far, as far as it still can be seen."""
    if process is None:
        return 0
    try:
        rss: int = process.memory_info().rss
    except psutil.Error:
        return 0
    # The kernel's own peak also sees what came and went between two looks.
    return max(rss, memory.peak_bytes(process.pid) or 0)


def _over_limit(rss_bytes: int, limit_bytes: int, stage: Stage) -> str:
    return (
        f"held {rss_bytes / _MEGABYTE:.0f} MB while {stage.value}, "
        f"over its limit of {limit_bytes / _MEGABYTE:.0f} MB"
    )


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
