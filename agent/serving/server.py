"""The server: listens, follows what is to be served, and ends without losing an answer."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from http import HTTPStatus

from agent.errors import AgentError, ServeError
from agent.logs import fields
from agent.serving.choice import Chooser
from agent.serving.connection import Budget, Connection
from agent.serving.front import Front
from agent.serving.metrics import Metrics
from agent.serving.patience import Limits, Patience
from agent.serving.report import ServingReport
from agent.serving.response import HttpError
from agent.serving.service import Service
from agent.serving.teller import Teller
from agent.versions import agent_version
from contract.address import is_loopback
from contract.errors import BundleError
from contract.settings import reach_problem
from edgewright.http_host import loopback_names

_log = logging.getLogger(__name__)

#: Short against what a person notices, long against what a look costs.
_STOP_LOOK_SECONDS = 0.1


class Server:
    """Serves the chosen variant over HTTP.

    Args:
        chooser: what is to be served.
        host: address to listen on.
        port: 0 for a free one.
        allow_remote: whether `host` may be more than this machine.
        top: classes of an answer where the request does not say.
        fast_decode: whether JPEGs may be decoded at a fraction of their size.
        memory_limit_bytes: what a worker may hold; None for no limit.
        limits: what clients may send.
        patience: how long is waited.
    """

    def __init__(
        self,
        chooser: Chooser,
        *,
        host: str,
        port: int,
        allow_remote: bool = False,
        top: int = 5,
        fast_decode: bool = False,
        memory_limit_bytes: int | None = None,
        limits: Limits | None = None,
        patience: Patience | None = None,
    ) -> None:
        problem = reach_problem(host, allow_remote=allow_remote)
        if problem is not None:
            message = (
                f"{problem}. Take 127.0.0.1, or say --allow-remote (in agent.toml "
                "serve_allow_remote = true) where the network itself keeps strangers out"
            )
            raise ServeError(message)
        self._chooser = chooser
        self._host = host
        self._port = port
        self._top = top
        self._fast_decode = fast_decode
        self._memory_limit_bytes = memory_limit_bytes
        self._limits = limits or Limits()
        self._patience = patience or Patience()

    def run(
        self,
        stop: threading.Event,
        *,
        on_listening: Callable[[str], None] = lambda _address: None,
        on_report: Callable[[ServingReport], None] | None = None,
    ) -> None:
        """Serve until stopped; accepted requests are answered first.

        Args:
            stop: set from elsewhere (a signal, another thread) to end it.
            on_listening: told the address once requests are taken.
            on_report: told what it is at whenever that changes. With it, a bundle set that
                cannot be read or holds nothing to serve is reported and waited for.

        Raises:
            ServeError: the address cannot be had, or there is no such variant.
            BundleError: the bundle set cannot be read.
        """
        asyncio.run(self._serve(stop, on_listening, on_report))

    async def _serve(
        self,
        stop: threading.Event,
        on_listening: Callable[[str], None],
        on_report: Callable[[ServingReport], None] | None,
    ) -> None:
        metrics = Metrics()
        teller = Teller(on_report)
        service = Service(
            self._limits,
            self._patience,
            metrics,
            fast_decode=self._fast_decode,
            memory_limit_bytes=self._memory_limit_bytes,
            on_change=lambda: teller.tell(service.health),
        )
        self._choose(service, must=on_report is None)
        front = Front(
            service,
            metrics,
            self._limits,
            top=self._top,
            version=agent_version(),
            # Where others may reach us, they do by names that we do not know.
            names=loopback_names(self._host) if is_loopback(self._host) else None,
        )
        reception = Reception(front, self._limits, self._patience)
        listener = await self._listen(reception)
        chores = [
            asyncio.create_task(service.keep()),
            asyncio.create_task(self._follow(service)),
        ]
        try:
            teller.address = _address(listener)
            on_listening(teller.address)
            teller.tell(service.health)
            while not stop.is_set():
                await asyncio.sleep(_STOP_LOOK_SECONDS)
                for chore in chores:
                    if chore.done():
                        # It never ends by itself, so this raises what ended it.
                        chore.result()
            _log.info("closing", extra=fields(connections=reception.connections))
            listener.close()
            await reception.close()
        finally:
            listener.close()
            for chore in chores:
                chore.cancel()
            await asyncio.gather(*chores, return_exceptions=True)
            await service.close()

    async def _listen(self, reception: Reception) -> asyncio.Server:
        try:
            return await asyncio.start_server(
                reception.welcome,
                self._host,
                self._port,
                limit=self._limits.head_bytes,
            )
        except OSError as error:
            message = (
                f"cannot listen on {self._host}:{self._port}: {error.strerror or error}; "
                "take another --port, or 0 for a free one"
            )
            raise ServeError(message) from error

    async def _follow(self, service: Service) -> None:
        """Take up what is to be served whenever that changes."""
        while True:
            await asyncio.sleep(self._patience.look_s)
            if not self._chooser.has_changed():
                continue
            self._choose(service, must=False)

    def _choose(self, service: Service, *, must: bool) -> None:
        try:
            service.want(self._chooser.choose())
        except (AgentError, BundleError) as error:
            if must:
                raise
            service.cannot_choose(str(error))


class Reception:
    """All connections: not too many at a time, and none cut off before its answer.

    Where there are as many as there may be, a new one takes the place of the oldest that waits
    for its client: half-sent requests must not keep others out.

    Args:
        front: what answers.
        limits: how many connections there may be, and what they may send.
        patience: how long is waited for them.
    """

    def __init__(self, front: Front, limits: Limits, patience: Patience) -> None:
        self._front = front
        self._limits = limits
        self._patience = patience
        self._budget = Budget(limits.bodies_bytes)
        self._closing = asyncio.Event()
        self._present: dict[asyncio.Task[None], Connection] = {}

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._present)

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        connection = Connection(
            reader,
            writer,
            self._front,
            budget=self._budget,
            limits=self._limits,
            patience=self._patience,
            closing=self._closing,
        )
        if self.connections >= self._limits.connections and not self._make_room():
            message = f"{self.connections} clients are connected already"
            retry = {"Retry-After": "1"}
            status = HTTPStatus.SERVICE_UNAVAILABLE
            await connection.refuse(HttpError(status, "busy", message, retry))
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - we run in one
        self._present[task] = connection
        try:
            await connection.serve()
        except asyncio.CancelledError:
            # Only `close` and `_make_room` do that. Passed on, asyncio would report it as an error.
            writer.close()
        finally:
            del self._present[task]

    def _make_room(self) -> bool:
        """End the oldest connection that waits for its client; False where none does."""
        for task, connection in self._present.items():
            # One that was cancelled at this turn of the loop is still present.
            if connection.waits_for_client and not task.cancelling():
                return task.cancel()
        return False

    async def close(self) -> None:
        """Answer what was accepted and send everybody home."""
        self._closing.set()
        for task, connection in self._present.items():
            if connection.is_idle:
                task.cancel()
        if self._present:
            _, late = await asyncio.wait(self._present, timeout=self._patience.grace_s)
            for task in late:
                task.cancel()
            if late:
                _log.warning("cut_off", extra=fields(connections=len(late)))
                await asyncio.wait(late)


def _address(listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
