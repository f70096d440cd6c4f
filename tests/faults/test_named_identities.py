"""Two boxes under one name, a reset outbox and a reboot storm: each called what it is.

Real outboxes and couriers on a real broker, and a real collector whose clock runs ahead.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contract.access import Access
from contract.address import parse_broker_url
from fleet.collecting.collector import Collector
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from fleet.reports.identity import identity_words
from fleet.store.database import open_database
from fleet.store.identity import Identity, IdentityStatus, identities_of
from fleet.store.outbox import watermarks_of
from fleet.store.roster import device_ids
from fleet.store.schema import results
from support.brokers import Mosquitto
from support.faults.live import Box
from support.faults.table import Row
from support.processes import wait_until

MakeRow = Callable[..., Row]
#: A minute of the collector's in a fifth of a second.
FASTER = 300.0


class Fleet:
    """A collector in a thread, with what it has stored."""

    def __init__(self, url: str, path: Path) -> None:
        self._began = time.monotonic()
        self.database = open_database(f"sqlite:///{path}", create=True)
        link = RemoteLink(
            parse_broker_url(url), access=Access(), client_name="fleet", session=Session.KEPT
        )
        self._stop, ready = threading.Event(), threading.Event()
        collector = Collector(self.database, link, on_ready=ready.set, clock=self.clock)
        self._thread = threading.Thread(target=collector.run, args=(self._stop,))
        self._thread.start()
        assert ready.wait(60)

    def clock(self) -> float:
        return 1_700_000_000.0 + (time.monotonic() - self._began) * FASTER

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.database.close()

    @property
    def identity(self) -> Identity:
        with self.database.reading() as connection:
            numbers = device_ids(connection)
            found = identities_of(connection, numbers, now=self.clock())
        return found[numbers[0]] if numbers else Identity()

    @property
    def words(self) -> str:
        return identity_words("lab/box", self.identity) or ""

    def runs(self) -> list[str]:
        with self.database.reading() as connection:
            return sorted(connection.scalars(sa.select(results.c.run_id)))

    def outboxes(self) -> int:
        with self.database.reading() as connection:
            return len(watermarks_of(connection, device_ids(connection)[0]))


@pytest.fixture
def fleet(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Fleet]:
    with contextlib.closing(Fleet(mosquitto.url, tmp_path / "fleet.db")) as one:
        yield one


@pytest.fixture
def box(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Callable[[str], Box]]:
    """A box on a state folder of that name; every one is closed afterwards."""
    with contextlib.ExitStack() as stack:

        def make(name: str) -> Box:
            made = Box(tmp_path / name, mosquitto.url)
            stack.callback(made.stop)
            return made

        yield make


def deliver(one: Box, *names: str) -> None:
    one.measure(*names)
    wait_until(f"{names} are delivered", lambda: one.is_delivered)


def test_two_running_boxes_with_one_disk_image_are_named(
    fleet: Fleet, box: Callable[[str], Box], fault: MakeRow
) -> None:
    """They push each other off the broker and take turns with their outboxes."""
    row = fault(
        "state folder copied to a second box, both run", holds="`devices` says that two share it"
    )
    first = box("first")
    first.start()
    deliver(first, "a1", "a2")
    first.close()
    shutil.copytree(first.folder, first.folder.with_name("second"))
    first, second = box("first"), box("second")
    first.start()
    second.start()
    expected = ["a1", "a2"]
    number = 0
    while fleet.identity.status is not IdentityStatus.CLONED:
        number += 1
        assert number < 200, fleet.identity
        row.tried(2)
        for one, name in ((first, f"first-{number}"), (second, f"second-{number}")):
            deliver(one, name)
            expected.append(name)
    assert "two boxes share this identity" in fleet.words
    assert "enroll" in fleet.words
    wait_until("all are stored", lambda: fleet.runs() == sorted(expected))
    assert fleet.outboxes() == 2
    row.came_to(fleet.words.split(". Empty", maxsplit=1)[0])
    first.close()
    second.close()


def test_a_device_put_back_from_an_image_is_no_clone(
    fleet: Fleet, box: Callable[[str], Box], fault: MakeRow
) -> None:
    """It never goes back to what the image forgot, however often it starts."""
    row = fault("device restored from an older image, and runs on", holds="named as a reset")
    first = box("first")
    first.start()
    deliver(first, "a1")
    first.close()
    shutil.copytree(first.folder, first.folder.with_name("image"))
    first = box("first")
    first.start()
    deliver(first, "b1", "b2")
    first.close()
    image = box("image")
    for number in range(6):
        image.start()
        deliver(image, f"c{number}")
        image.stop()
        row.tried()
    assert fleet.identity.status is IdentityStatus.RESET
    assert "outbox reset on " in fleet.words
    assert fleet.runs() == ["a1", "b1", "b2", *(f"c{number}" for number in range(6))]
    row.came_to(fleet.words)
    image.close()


def test_a_device_with_an_empty_disk_is_a_reset(
    fleet: Fleet, box: Callable[[str], Box], fault: MakeRow
) -> None:
    row = fault("state folder lost, and begun anew", holds="named as a reset, what was lost too")
    first = box("first")
    first.start()
    deliver(first, "a1", "a2")
    first.close()
    fresh = box("fresh")
    fresh.start()
    for number in range(4):
        deliver(fresh, f"b{number}")
        row.tried()
    assert fleet.identity.status is IdentityStatus.RESET
    assert "what was before is complete" in fleet.words
    row.came_to(fleet.words)
    fresh.close()


def test_a_reboot_storm_is_no_clone(
    fleet: Fleet, box: Callable[[str], Box], fault: MakeRow
) -> None:
    row = fault("agent starts again and again", holds="nothing is said of its identity")
    one = box("first")
    for number in range(15):
        one.start()
        deliver(one, f"a{number}")
        one.stop()
        row.tried()
    assert fleet.identity == Identity()
    row.came_to(f"{len(fleet.runs())} runs, one outbox, nothing to say")
    one.close()
