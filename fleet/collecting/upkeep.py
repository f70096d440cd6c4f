"""Rolls up old samples beside a collector, a little at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from fleet.errors import StoreDamagedError, StoreUnavailableError
from fleet.store.database import Database
from fleet.store.retention import roll_up_samples

_log = logging.getLogger(__name__)

_DAY_S = 86_400.0
#: Samples grow old by the day.
_ROUND_EVERY_S = 3600.0
#: After a batch it waits for so many times as long as that took, and leaves the store to others.
_REST = 9.0
_SHORTEST_REST_S = 0.2


@contextlib.contextmanager
def upkeep(
    database: Database,
    *,
    keep_samples_days: float,
    on_damage: Callable[[], None],
    clock: Callable[[], float] = time.time,
) -> Iterator[None]:
    """Roll samples up that are older than so many days, until the block ends.

    Where the store is out of order, it goes on an hour later: nobody waits for it. Where the
    store is damaged, `on_damage` is called from its thread and has to end the block.

    Raises:
        StoreDamagedError: at the end of a block that raised nothing else.
    """
    stop = threading.Event()
    damage: list[StoreDamagedError] = []

    def run() -> None:
        try:
            _run(database, keep_samples_days * _DAY_S, clock, stop)
        except StoreDamagedError as error:
            damage.append(error)
            on_damage()

    work = threading.Thread(target=run, name="upkeep")
    work.start()
    try:
        yield
    finally:
        stop.set()
        work.join()
    if damage:
        raise damage[0]


def _run(
    database: Database, keep_s: float, clock: Callable[[], float], stop: threading.Event
) -> None:
    while not stop.is_set():
        try:
            _round(database, keep_s, clock, stop)
        except StoreUnavailableError as error:
            _log.warning("samples not rolled up, trying again later reason=%s", error)
        stop.wait(_ROUND_EVERY_S)


def _round(
    database: Database, keep_s: float, clock: Callable[[], float], stop: threading.Event
) -> None:
    now = clock()
    began = time.monotonic()
    runs = size = 0
    for step in roll_up_samples(database, before=now - keep_s, now=now):
        runs, size = runs + step.count, size + step.bytes
        took_s = time.monotonic() - began
        if stop.wait(max(_SHORTEST_REST_S, took_s * _REST)):
            break
        began = time.monotonic()
    if runs:
        _log.info("samples rolled up runs=%d bytes=%d", runs, size)
