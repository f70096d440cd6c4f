"""A real collector that dies at a step: `python -m support.faults.steps BROKER STORE TRACE`.

Each line on standard input names a step. A child collects until it comes to that step the first
time, and kills itself there with SIGKILL; the answer is a line with how it ended. Steps are taken
around the real store and the real source, which the collector gets as arguments; nothing in it
knows of them. The children are forked from a process that has imported everything.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import sqlalchemy as sa

from contract.access import Access
from contract.address import parse_broker_url
from contract.messages import Ack, Desired
from fleet.collecting.collector import Collector
from fleet.collecting.source import Source
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from fleet.store.database import Database, open_database

#: Collects until SIGTERM, and dies nowhere.
NOWHERE = "nowhere"
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)")
#: What Python makes of an end that it did not ask for.
_SLIPPED = 3
_PATIENCE_S = 120


class Steps:
    """Writes down each step, and dies at the one that was asked for."""

    def __init__(self, trace: Path, fatal: str) -> None:
        self._trace = os.open(trace, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._fatal = fatal
        #: What the collector is about; None: nothing that counts.
        self.phase: str | None = None

    def __call__(self, what: str) -> None:
        if self.phase is None:
            return
        step = f"{self.phase}: {what}"
        os.write(self._trace, f"{step}\n".encode())
        if step == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class SteppedDatabase(Database):
    """A store with steps around its transactions, and at each statement of those that write."""

    def __init__(self, real: Database, step: Steps) -> None:
        self._real, self._step = real, step

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction of the real store."""
        self._step("nothing is begun")
        with self._real.writing() as connection:
            sa.event.listen(connection, "after_cursor_execute", self._executed)
            self._step("the transaction is begun")
            yield connection
            self._step("all is written, nothing committed")
        self._step("committed")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A view of the real store."""
        with self._real.reading() as connection:
            yield connection
        self._step("looked up for an answer")

    def _executed(self, *event: object) -> None:
        statement = str(event[2])
        found = _TABLE.search(statement)
        self._step(f"{statement.split(maxsplit=1)[0]} {found.group(1) if found else ''}".strip())


class SteppedSource:
    """A source with steps after what comes and around what goes."""

    def __init__(self, real: Source, step: Steps) -> None:
        self._real, self._step = real, step
        self._has_results = False

    def open(self) -> None:
        """Start connecting."""
        self._real.open()

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting."""
        waiting = self._real.receive(at_most=at_most, wait_s=wait_s)
        self._has_results |= any(
            isinstance(one, Delivery) and "/result" in one.topic for one in waiting
        )
        # It greets before it looks at what else came.
        is_greeting = any(isinstance(one, Subscribed) for one in waiting)
        self._step.phase = "greeting" if is_greeting else self._work()
        if waiting:
            self._step("received")
        return waiting

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        """These are stored."""
        self._real.settle(deliveries)
        self._step("settled")

    def publish(self, messages: Sequence[Ack | Desired]) -> None:
        """Acks and desired states."""
        self._step("nothing is published")
        for one in messages:
            self._real.publish([one])
            self._step("one is published")
        self._step("all are published")
        self._step.phase = self._work()

    def close(self) -> None:
        """Disconnect."""
        self._real.close()

    def _work(self) -> str | None:
        return "a batch" if self._has_results else None


def main(broker: str, store_url: str, trace: Path) -> None:
    """Fork a collector for each step that is named."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _collect(broker, store_url, Steps(trace, line.strip()))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _collect(broker: str, store_url: str, step: Steps) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    code = 0
    try:
        link = RemoteLink(
            parse_broker_url(broker),
            access=Access(),
            client_name="edgewright-fleet-stepped",
            session=Session.KEPT,
        )
        signal.alarm(_PATIENCE_S)
        with contextlib.closing(open_database(store_url, create=True)) as real:
            Collector(
                SteppedDatabase(real, step), SteppedSource(link, step), on_ready=lambda: None
            ).run(stop)
    except BaseException:
        code = _SLIPPED
        raise
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
