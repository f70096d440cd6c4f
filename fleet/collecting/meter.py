"""What a collector counts, for Prometheus; once a batch, however many messages are in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    start_http_server,
)

from fleet.address import HttpAddress
from fleet.collecting.collector import Turn
from fleet.errors import PortInUseError

_LAG_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
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
        try:
            server, thread = start_http_server(address.port, address.host, self.registry)
        except OSError as error:
            message = f"cannot listen on {address}: {error.strerror}; name another with --metrics"
            raise PortInUseError(message) from error
        try:
            yield HttpAddress(address.host, _port_of(server))
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _counter(self, name: str, documentation: str) -> Counter:
        return Counter(f"edgewright_{name}", documentation, registry=self.registry)


def _port_of(server: WSGIServer) -> int:
    return server.server_port
