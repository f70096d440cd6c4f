"""What the store knows, as metrics for Prometheus; read when they are asked for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from edgewright.rate_limit import rate_limited_logger
from fleet.api.places import Places
from fleet.api.status import version
from fleet.errors import FleetError
from fleet.store.database import Database
from fleet.store.figures import Figures, figures_of, statuses_of

_log = rate_limited_logger(__name__)

#: However often somebody scrapes, the store is asked that rarely.
_KEPT_S = 5.0
#: Statuses go through every decision.
_STATUSES_KEPT_S = 60.0


class StoreFigures(Collector):
    """Figures of one store, as Prometheus collects them.

    Args:
        database: the store.
        listeners: of events.
        stale_after_s: a device that was silent for so long is stale.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        listeners: Places,
        *,
        stale_after_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._listeners = listeners
        self._stale_after_s = stale_after_s
        self._clock = clock
        self._lock = threading.Lock()
        self._figures: tuple[float, Figures] | None = None
        self._statuses: tuple[float, dict[tuple[str, str], int]] | None = None

    def collect(self) -> Iterator[Metric]:
        """Every metric; of a store that is out of order only that it is."""
        yield _gauge("build_info", "Which Edgewright this is.", {version(): 1}, "version")
        yield _gauge("event_listeners", "Listeners of events.", self._listeners.taken)
        try:
            with self._lock:
                figures, statuses = self._now()
        except FleetError as error:
            _log.warning("no figures reason=%s", error)
            yield _gauge("store_up", "Whether the store can be read.", 0)
            return
        yield _gauge("store_up", "Whether the store can be read.", 1)
        yield from _of_store(figures, self._stale_after_s)
        family = GaugeMetricFamily(
            "edgewright_recommendations",
            "Devices by the status of their latest recommendation under a policy.",
            labels=("policy", "status"),
        )
        for (policy, status), count in statuses.items():
            family.add_metric((policy, status), count)
        yield family

    def _now(self) -> tuple[Figures, dict[tuple[str, str], int]]:
        at = time.monotonic()
        if self._figures is None or at - self._figures[0] > _KEPT_S:
            self._figures = None
            with self._database.reading() as connection:
                found = figures_of(connection, stale_before=self._clock() - self._stale_after_s)
            self._figures = at, found
        if self._statuses is None or at - self._statuses[0] > _STATUSES_KEPT_S:
            with self._database.reading() as connection:
                self._statuses = at, statuses_of(connection)
        return self._figures[1], self._statuses[1]


def exposition(collector: Collector, accept: str) -> tuple[bytes, str]:
    """The metrics of a collector as bytes, and their media type, as the client accepts it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def _of_store(figures: Figures, stale_after_s: float) -> Iterator[Metric]:
    stored = CounterMetricFamily(
        "edgewright_store_results", "Results that the store was ever given a number for."
    )
    stored.add_metric((), figures.results_stored)
    yield stored
    if figures.last_result_at is not None:
        yield _gauge(
            "last_result_timestamp_seconds",
            "When the newest result was received.",
            figures.last_result_at,
        )
    yield _gauge("devices", "Known devices by presence.", figures.devices, "presence")
    yield _gauge(
        "stale_devices",
        "Devices without a sign of life for edgewright_stale_after_seconds.",
        figures.stale_devices,
    )
    yield _gauge("stale_after_seconds", "Silence that makes a device stale.", stale_after_s)
    yield _gauge(
        "incomplete_devices", "Devices of which results are missing.", figures.incomplete_devices
    )
    yield _gauge("missing_results", "Results that are missing.", figures.missing_results)
    yield _gauge(
        "quarantined_messages", "Different messages in quarantine.", figures.quarantined_messages
    )
    yield _gauge(
        "quarantined_deliveries",
        "Messages in quarantine, each as often as it came.",
        figures.quarantined_times,
    )


def _gauge(
    name: str, documentation: str, value: float | Mapping[str, float], label: str = ""
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        f"edgewright_{name}", documentation, labels=(label,) if label else ()
    )
    if isinstance(value, Mapping):
        for key, count in value.items():
            family.add_metric((key,), count)
    else:
        family.add_metric((), value)
    return family
