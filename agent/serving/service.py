"""The service behind the HTTP front: one proven worker, replaced when it dies or is outdated."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

import msgspec

from agent.activation import Pick
from agent.attempts import below, preparations
from agent.errors import AgentError
from agent.logs import fields
from agent.protocol import Preparation, Refused, Serve, Tagged
from agent.serving.choice import Choice, Ranking
from agent.serving.metrics import Metrics
from agent.serving.patience import Limits, Patience
from agent.serving.refusals import Refusals
from agent.serving.warm import DiedError, StartError, WarmWorker
from contract.benchmark import RunStatus
from contract.errors import BundleError

_log = logging.getLogger(__name__)

#: A query that finds its worker dead goes to the next worker, once: it may be what kills them.
_TRIES = 2


class BusyError(AgentError):
    """Too many requests wait already."""


class UnreadyError(AgentError):
    """No worker was free, or ready, in time."""


class LostError(AgentError):
    """Two workers died over this request."""


@dataclass(frozen=True, kw_only=True)
class _Post:
    """A worker and what it serves."""

    choice: Choice
    preparation: Preparation
    worker: WarmWorker
    since: float

    @property
    def served(self) -> Pick:
        """What it serves, as it was prepared."""
        return msgspec.structs.replace(self.choice.pick, preparation=self.preparation.value)


@dataclass(frozen=True, kw_only=True)
class Health:
    """What the service is at."""

    ready: bool
    #: What is served; where nothing is, what should be.
    choice: Choice | None
    #: Unix time from which it has been served.
    since: float | None
    #: The bundle that is served, as it was prepared; None where nothing is.
    served: Pick | None
    #: What last went wrong with what should be served, if it still does.
    problem: str | None
    #: Why the last worker that died was replaced.
    replaced: str | None
    #: The generation whose wish is followed; None while nobody knows what to serve.
    generation: int | None


class Service:
    """Keeps one worker warm and gives each query to it, one after the other.

    Args:
        limits: how many may wait.
        patience: how long is waited.
        metrics: told of restarts and switches.
        fast_decode: whether JPEGs may be decoded at a fraction of their size.
        memory_limit_bytes: what a worker may hold; None for no limit.
        on_change: called when its health may be another one.
    """

    def __init__(
        self,
        limits: Limits,
        patience: Patience,
        metrics: Metrics,
        *,
        fast_decode: bool,
        memory_limit_bytes: int | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._fast_decode = fast_decode
        self._limits = limits
        self._patience = patience
        self._metrics = metrics
        self._on_change = on_change
        #: What a worker may hold; None for no limit.
        self.memory_limit_bytes = memory_limit_bytes
        self._post: _Post | None = None
        self._ranking = Ranking(first=None)
        self._refusals = Refusals()
        #: Why nobody knows what to serve.
        self._puzzle: str | None = None
        self._replaced: str | None = None
        self._failures = 0
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def health(self) -> Health:
        """What it is at."""
        post = self._post
        return Health(
            ready=post is not None,
            choice=post.choice if post else self._ranking.first,
            since=post.since if post else None,
            served=post.served if post else None,
            problem=self._problem,
            replaced=self._replaced,
            generation=None if self._puzzle else self._ranking.generation,
        )

    @property
    def worker_rss_bytes(self) -> int | None:
        """Resident set of the worker; None while there is none."""
        return self._post.worker.rss_bytes if self._post else None

    def want(self, ranking: Ranking) -> None:
        """Serve the first of `ranking` as soon as it is proven.

        What is served goes on until then. Where nothing is, the substitutes are tried too.
        """
        self._ranking = ranking
        self._refusals.narrow(ranking)
        self._puzzle = None
        self._wake.set()

    def cannot_choose(self, reason: str) -> None:
        """Take note that nobody knows what to serve; what is served goes on."""
        self._puzzle = reason
        _log.error("nothing_to_serve", extra=fields(reason=reason))
        self._on_change()

    async def answer(self, image: bytes, top_k: int) -> tuple[Choice, Tagged | Refused]:
        """Answer to one image file's bytes, and what gave it.

        Raises:
            BusyError: too many wait already.
            UnreadyError: no worker was free, or ready, in time.
            LostError: the worker died over it, and the next one too.
            HungError: the worker gave no answer in time.
        """
        if self._waiting >= self._limits.waiting:
            message = f"{self._waiting} requests wait already"
            raise BusyError(message)
        self._waiting += 1
        try:
            await self._within_patience(self._turn.acquire())
            try:
                return await self._ask(image, top_k)
            finally:
                self._turn.release()
        finally:
            self._waiting -= 1

    async def keep(self) -> None:
        """See to it that what is wanted is served; runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            first = self._ranking.first
            if self._post is None:
                await self._recover()
            elif first not in {None, self._post.choice} and not self._refusals.reason(first):
                await self._start(first)
            self._on_change()

    async def close(self) -> None:
        """End the worker after the answer that it is at."""
        post, self._post = self._post, None
        self._ready.clear()
        if post:
            await post.worker.retire()
        await asyncio.gather(*self._tasks)

    async def _ask(self, image: bytes, top_k: int) -> tuple[Choice, Tagged | Refused]:
        reason = ""
        for _ in range(_TRIES):
            post = await self._present_post()
            try:
                timeout_s = self._patience.answer_s
                answer = await post.worker.ask(image, top_k, timeout_s=timeout_s)
            except DiedError as error:
                reason = str(error)
                # Its end is attended to elsewhere; the next look must not find it again.
                self._vacate(post)
            else:
                self._failures = 0
                return post.choice, answer
        message = f"two workers died over it; the last: {reason}"
        raise LostError(message)

    async def _present_post(self) -> _Post:
        await self._within_patience(self._ready.wait())
        assert self._post is not None  # noqa: S101 - set and cleared together with _ready
        return self._post

    async def _within_patience(self, waiting: Awaitable[object]) -> None:
        try:
            async with asyncio.timeout(self._patience.worker_s):
                await waiting
        except TimeoutError as error:
            problem = self._problem
            told = f": {problem}" if problem else ""
            message = f"no worker was ready within {self._patience.worker_s:g} s{told}"
            raise UnreadyError(message) from error

    @property
    def _problem(self) -> str | None:
        """Why what is to be served is not, or nobody knows what that is."""
        if self._puzzle is not None:
            return self._puzzle
        reasons = [self._ranking.problem]
        for choice in self._ranking.choices:
            if self._post is not None and choice == self._post.choice:
                break
            reasons.append(self._refusals.reason(choice))
        return "; ".join(reason for reason in reasons if reason) or None

    async def _recover(self) -> None:
        """Start the best that can be served, later and later while nothing can."""
        if self._failures > 1:
            await self._back_off()
        choices = self._ranking.choices
        fresh = [choice for choice in choices if not self._refusals.reason(choice)]
        # Where everything failed, that is all that there is to try.
        for choice in fresh or choices:
            if await self._start(choice):
                return
        if choices:
            self._wake.set()

    async def _back_off(self) -> None:
        seconds = min(
            self._patience.first_back_off_s * 2 ** (self._failures - 2),
            self._patience.longest_back_off_s,
        )
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _start(self, choice: Choice) -> bool:
        """Put a worker for `choice` in the present one's place once it is proven."""
        began = time.monotonic()
        try:
            preparation, worker = await self._proven_worker(choice)
        except (BundleError, StartError, OSError) as error:
            self._failures += 1
            self._refusals.add(choice, f"{choice.variant} cannot be served: {error}")
            self._metrics.switch_failed()
            serving = self._post.choice.variant if self._post else None
            extra = fields(variant=choice.variant, reason=error, still_serving=serving)
            _log.error("variant_refused", extra=extra)
            return False
        self._refusals.lift(choice)
        before = self._post
        self._post = _Post(choice=choice, preparation=preparation, worker=worker, since=time.time())
        self._ready.set()
        self._spawn(self._attend(self._post))
        if before:
            self._metrics.switched()
            self._spawn(before.worker.retire())
        extra = fields(
            variant=choice.variant,
            threads=choice.threads,
            preparation=preparation.value,
            start_s=time.monotonic() - began,
        )
        _log.info("variant_serving", extra=extra)
        if self._ranking.first != choice:
            # Another one may have been wanted meanwhile.
            self._wake.set()
        return True

    async def _proven_worker(self, choice: Choice) -> tuple[Preparation, WarmWorker]:
        # Hashing takes a while, and the server answers others meanwhile.
        path = await asyncio.to_thread(choice.fit_to_load)
        ladder = preparations(choice.bundle.manifest, known=choice.pick.preparation)
        while True:
            preparation = ladder[0]
            task = Serve(
                threads=choice.threads,
                bundle=str(path),
                preparation=preparation,
                fast_decode=self._fast_decode,
            )
            try:
                worker = await WarmWorker.start(
                    task,
                    timeout_s=self._patience.start_s,
                    memory_limit_bytes=self.memory_limit_bytes,
                )
            except StartError as error:
                ladder = below(ladder, error.status)
                if not ladder:
                    raise
                extra = fields(preparation=preparation.value, reason=error)
                _log.info("preparation_failed", extra=extra)
            else:
                return preparation, worker

    async def _attend(self, post: _Post) -> None:
        """Notice the end of a worker that nobody retired."""
        status, reason = await post.worker.ended()
        if post.worker.is_retired:
            return
        _log.error("worker_died", extra=fields(variant=post.choice.variant, reason=reason))
        self._replaced = f"{post.choice.variant}: {reason}"
        self._metrics.worker_died(for_memory=status is RunStatus.OOM)
        self._failures += 1
        self._vacate(post)
        await post.worker.end()
        self._wake.set()

    def _vacate(self, post: _Post) -> None:
        if self._post is post:
            self._post = None
            self._ready.clear()

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
