"""A collector whose store takes its time to commit, as one far away would: simulated.

`python -m benchmarks.lib.waiting_collector BROKER_URL STORE_URL BATCH WAIT_S` shares the results
of a broker with others like it. It says `ready`, collects until SIGTERM, and prints what it did
as JSON. It does not decide.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import uuid
from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from contract.access import Access
from contract.address import parse_broker_url
from fleet.collecting.collector import Collector, Turn
from fleet.garbage import expect_many_objects
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from fleet.store.database import Database, open_database


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What one collector did from its start on."""

    batches: int
    results: int


class WaitingDatabase(Database):
    """An open store that waits before each commit.

    Whoever writes holds its devices meanwhile, as under a commit that waits for a disk.
    """

    def __init__(self, store: Database, wait_s: float) -> None:
        super().__init__(store._engine)  # noqa: SLF001 - it is the same store
        self._wait_s = wait_s

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction, with the wait at its end."""
        with super().writing() as connection:
            yield connection
            time.sleep(self._wait_s)


def main() -> None:
    """Collect."""
    broker_url, store_url, batch, wait_s = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    expect_many_objects()
    batches = results = 0

    def count(turn: Turn) -> None:
        nonlocal batches, results
        batches += 1
        results += turn.receipt.stored if turn.receipt else 0

    with contextlib.closing(open_database(store_url, create=False)) as store:
        link = RemoteLink(
            parse_broker_url(broker_url),
            access=Access(),
            client_name=f"collector-{uuid.uuid4().hex[:8]}",
            session=Session.SHARED,
        )
        Collector(
            WaitingDatabase(store, float(wait_s)),
            link,
            on_ready=lambda: _say(b"ready"),
            on_turn=count,
            batch=int(batch),
        ).run(stop)
    _say(msgspec.json.encode(Collected(batches=batches, results=results)))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
