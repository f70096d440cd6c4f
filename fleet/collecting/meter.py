"""What a collector counts, for Prometheus; once a batch, however many messages are in it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, make_asgi_app
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from edgewright.http_host import called_name, loopback_names, wrong_name
from edgewright.http_limits import HttpLimits, LimitedServer
from fleet.address import HttpAddress, http_listener
from fleet.collecting.collector import Turn

_LAG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
#: For one or two Prometheus servers, and whoever looks with a browser.
_LIMITS = HttpLimits(connections=64, per_address=32, requests=16)
_GRACE_S = 2
_SIZES = (1, 3, 10, 30, 100, 300, 1000, 2000)


class Meter:
    """Counters of one collector, since its process began."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._messages = self._counter("messages", "Messages taken from the broker.")
        self._stored = self._counter("results_stored", "Results and tombstones stored.")
        self._duplicates = self._counter("duplicates", "Messages that were stored before.")
        self._quarantined = self._counter("quarantined", "Messages refused.")
        self._failures = self._counter("store_failures", "Times that the store took no batch.")
        self._lag = Histogram(
            "edgewright_ingest_lag_seconds",
            "From receipt of the oldest message of a batch until the batch was durable.",
            buckets=_LAG_S,
            registry=self.registry,
        )
        self._sizes = Histogram(
            "edgewright_batch_messages",
            "Messages in a batch; its count is the number of batches.",
            buckets=_SIZES,
            registry=self.registry,
        )
        self._waiting = Gauge(
            "edgewright_unacknowledged_devices",
            "Devices whose results are stored and that are not told yet.",
            registry=self.registry,
        )

    def count(self, turn: Turn) -> None:
        """Count what one turn of the collector did."""
        self._waiting.set(turn.unacknowledged)
        self._failures.inc(turn.failures)
        if turn.receipt is None:
            return
        self._messages.inc(turn.messages)
        self._stored.inc(turn.receipt.stored)
        self._duplicates.inc(turn.receipt.duplicates)
        self._quarantined.inc(turn.receipt.quarantined)
        self._lag.observe(turn.lag_s)
        self._sizes.observe(turn.messages)

    @contextlib.contextmanager
    def served(self, address: HttpAddress) -> Iterator[HttpAddress]:
        """Answer Prometheus at an address while the block runs; gives where that is.

        Raises:
            PortInUseError: somebody else listens there.
        """
        listener = http_listener(address, option="--metrics")
        where = HttpAddress(address.host, listener.getsockname()[1])
        server = LimitedServer(
            _Called(make_asgi_app(self.registry), loopback_names(address.host)),
            listener,
            limits=_LIMITS,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_S,
        )
        thread = threading.Thread(target=server.run, name="metrics")
        thread.start()
        try:
            yield where
        finally:
            server.should_exit = True
            thread.join()

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(f"edgewright_{name}", documentation, registry=self.registry)


class _Called:
    """Answers whoever calls this machine by a name of its own."""

    def __init__(self, app: ASGIApp, names: frozenset[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        host = next((value for key, value in scope["headers"] if key == b"host"), b"")
        called = called_name(host.decode("latin-1"))
        if called in self._names:
            await self._app(scope, receive, send)
        else:
            answer = PlainTextResponse(f"{wrong_name(called, self._names)}\n", status_code=421)
            await answer(scope, receive, send)
