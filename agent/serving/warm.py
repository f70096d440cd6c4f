"""One worker process that keeps a bundle warm, seen from the server."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import IO

import msgspec
import psutil

from agent.confinement import Confinement
from agent.errors import WorkerError
from agent.postmortem import explain_death, last_words
from agent.protocol import Entered, Event, Failed, Query, Refused, Serve, Stage, Tagged
from agent.supervisor import WORKER, worker_environment
from contract.benchmark import LimitKind, RunStatus

#: Every class of a network with very many of them fits into one line of this length.
_LINE_BYTES = 64 << 20
_EXIT_SECONDS = 5.0
#: A look costs a tenth of a millisecond.
_LOOK_SECONDS = 0.2
_ROOT = Path("/")
_EVENTS = msgspec.json.Decoder(Event)


class StartError(WorkerError):
    """A worker did not come to serve its bundle; `status` says what kind of failure it was."""

    def __init__(self, status: RunStatus, reason: str) -> None:
        super().__init__(f"{status.value}: {reason}")
        self.status = status


class DiedError(WorkerError):
    """A worker died before it answered."""


class HungError(WorkerError):
    """A worker gave no answer in time and was killed."""


class WarmWorker:
    """A worker that loaded and proved one bundle and answers one query at a time."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        stderr: IO[bytes],
        memory_limit_bytes: int | None,
    ) -> None:
        self._process = process
        self._stderr = stderr
        self._turn = asyncio.Lock()
        self._is_retired = False
        self._stage = Stage.STARTING
        #: Why it cannot go on, in its own words or those of who ended it.
        self._said: tuple[RunStatus, str] | None = None
        self._confinement = Confinement(process.pid, memory_limit_bytes, _ROOT)
        self._guard = asyncio.create_task(self._hold_to_limit())

    @classmethod
    async def start(
        cls,
        task: Serve,
        *,
        timeout_s: float,
        memory_limit_bytes: int | None = None,
    ) -> WarmWorker:
        """Start a worker and wait until its bundle is proven.

        Args:
            task: what it is to serve.
            timeout_s: for its start and its proof.
            memory_limit_bytes: what it may hold for as long as it lives; None for no limit.

        Raises:
            StartError: it failed, died or took too long; the process is gone.
        """
        stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        process = await asyncio.create_subprocess_exec(
            *WORKER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env=worker_environment(task.threads),
            limit=_LINE_BYTES,
            # Ctrl-C goes to the whole group of a terminal; the server ends its workers itself.
            start_new_session=True,
        )
        worker = cls(process, stderr, memory_limit_bytes)
        try:
            await worker._prove(task, timeout_s)
        except BaseException:
            await worker.end()
            raise
        return worker

    @property
    def is_retired(self) -> bool:
        """Whether it was told to go, so that its end is no accident."""
        return self._is_retired

    @property
    def rss_bytes(self) -> int | None:
        """Resident set of the process now; None where it cannot be seen."""
        try:
            rss: int = psutil.Process(self._process.pid).memory_info().rss
        except psutil.Error:
            return None
        return rss

    async def ask(self, image: bytes, top_k: int, *, timeout_s: float) -> Tagged | Refused:
        """Answer to one image file's bytes.

        Raises:
            DiedError: the worker died first.
            HungError: no answer in time; the worker was killed.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(timeout_s):
                    event = await self._exchange(image, top_k)
            except TimeoutError as error:
                reason = f"it gave no answer within {timeout_s:g} s and was killed"
                self._said = RunStatus.TIMEOUT, reason
                self.kill()
                message = f"no answer within {timeout_s:g} s"
                raise HungError(message) from error
            except BaseException:
                # Half a question or half an answer stands in the pipes: of no use any more.
                self.kill()
                raise
            return event

    async def ended(self) -> tuple[RunStatus, str]:
        """How the process ended, once it has."""
        await self._process.wait()
        if self._is_retired:
            return RunStatus.OK, "it was told to"
        return await self._explained()

    async def retire(self) -> None:
        """Let it finish the answer that it is at, then end it."""
        self._is_retired = True
        async with self._turn:
            await self.end()

    def kill(self) -> None:
        """End it at once."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def end(self) -> None:
        """End it by closing its pipe, or else by force."""
        self._is_retired = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._exit_code()
        self._guard.cancel()
        self._confinement.lift()
        self._stderr.close()

    async def _prove(self, task: Serve, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._send(msgspec.json.encode(task) + b"\n")
                while self._stage is not Stage.SERVING:
                    match await self._hear():
                        case Entered(stage=stage):
                            self._stage = stage
                        case Failed(status=status, reason=reason):
                            raise StartError(status, reason)
                        case _:
                            pass
        except TimeoutError as error:
            self.kill()
            reason = f"not ready within {timeout_s:g} s, while {self._stage.value}"
            raise StartError(RunStatus.TIMEOUT, reason) from error
        except DiedError as error:
            raise StartError(*await self._explained()) from error

    async def _hold_to_limit(self) -> None:
        """Kill it where it holds more than it may and the kernel does not look."""
        while self._confinement.kind is LimitKind.WATCHDOG:
            excess = self._confinement.look(self._stage)
            if excess is not None:
                self._said = RunStatus.OOM, excess
                self.kill()
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _explained(self) -> tuple[RunStatus, str]:
        """Status and reason of its death."""
        code = await self._exit_code()
        return self._said or explain_death(
            code,
            stage=self._stage,
            last_words=last_words(self._stderr),
            oom_killed=self._confinement.killed_for_memory(),
        )

    async def _exit_code(self) -> int:
        try:
            async with asyncio.timeout(_EXIT_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            self.kill()
            return await self._process.wait()

    async def _exchange(self, image: bytes, top_k: int) -> Tagged | Refused:
        query = msgspec.json.encode(Query(size_bytes=len(image), top_k=top_k))
        await self._send(query + b"\n", image)
        event = await self._hear()
        if isinstance(event, Tagged | Refused):
            return event
        if isinstance(event, Failed):
            self._said = event.status, f"{event.status.value}: {event.reason}"
            raise DiedError(self._said[1])
        message = f"it said {type(event).__name__}"
        raise DiedError(message)

    async def _send(self, *parts: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101 - we asked for the pipe
        try:
            self._process.stdin.writelines(parts)
            await self._process.stdin.drain()
        except ConnectionError as error:
            message = "its pipe is closed"
            raise DiedError(message) from error

    async def _hear(self) -> Event:
        assert self._process.stdout is not None  # noqa: S101 - we asked for the pipe
        try:
            line = await self._process.stdout.readuntil(b"\n")
            event: Event = _EVENTS.decode(line)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            message = "it closed its pipe"
            raise DiedError(message) from error
        except (asyncio.LimitOverrunError, msgspec.MsgspecError) as error:
            message = f"it sent what is no answer: {error}"
            raise DiedError(message) from error
        return event
