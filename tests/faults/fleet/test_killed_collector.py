"""SIGKILL of a collector at every step between receiving, committing and acknowledging."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contract.messages import Presence, State, Tombstone, encode_message
from contract.topics import Leaf, topic_for
from fleet.store.database import open_database
from fleet.store.schema import devices, epochs, results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.steps import NOWHERE
from support.faults.table import Row
from support.measurements import make_inventory, make_result, make_run
from support.outboxes import Outboxes
from support.stores import ON_BOTH

pytestmark = ON_BOTH

MakeRow = Callable[..., Row]
DEVICES = 3
_AGAIN_AFTER_S = 2.0
_FAR = 1_000_000


class Victim:
    """The process that forks a collector for each death."""

    def __init__(self, broker: str, store_url: str, folder: Path) -> None:
        self._trace = folder / "trace"
        with (folder / "victims.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "support.faults.steps", broker, store_url, self._trace],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def begin(self, step: str) -> int:
        """A collector that will die there; its process id."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{step}\n")
        self._process.stdin.flush()
        return int(self._line())

    def end(self) -> int:
        """How it ended, once it has: an exit code, or a signal below zero."""
        return int(self._line())

    def steps(self) -> list[str]:
        """Every step that was taken so far, once, in the order of the first times."""
        return list(dict.fromkeys(self._trace.read_text().splitlines()))

    def close(self) -> None:
        """End it."""
        if self._process.stdin is not None and self._process.stdout is not None:
            self._process.stdin.close()
            self._process.wait(60)
            self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Talk:
    """Everything that devices say, some more of it for every collector."""

    def __init__(self, url: str, *, each: int) -> None:
        self.outboxes = Outboxes(url, devices=DEVICES, each=each)
        self.other = DeviceClient(url, "lab", "other")
        self._numbers = itertools.count(1)
        self._up_to = 0

    def more(self) -> None:
        """One more result each, and of another device one of everything else."""
        number = next(self._numbers)
        self._up_to = min(self._up_to + 1, self.outboxes.each)
        self.outboxes.send(up_to=self._up_to)
        other = self.other
        birth = State(
            site="lab",
            device="other",
            presence=Presence.ONLINE,
            boot_id="boot",
            connection=number,
            at=float(number),
        )
        other.send(birth, Leaf.STATE)
        other.send(make_inventory("other", at=float(number)), Leaf.INVENTORY)
        run = make_run(run_id=f"other-{number}", samples_ms=[10.0] * 20)
        other.send(make_result(2 * number, run, device="other"))
        # Stored before, or on the way; other bytes for the same place; no message at all.
        other.send(make_result(2 * number, run, device="other"))
        other.send(make_result(2 * number, make_run(), device="other"))
        other.publish(topic_for("lab", "other", Leaf.RESULT), f"not json {number}".encode())
        # A wrong type at a place that can be read.
        spoilt = encode_message(make_result(_FAR + number, device="other"))
        spoilt = spoilt.replace(b'"threads":1', b'"threads":"1"')
        other.publish(topic_for("lab", "other", Leaf.RESULT), spoilt)
        stone = Tombstone(
            site="lab",
            device="other",
            epoch="e-1",
            seq=2 * number + 1,
            last_seq=2 * number + 1,
            reason="dropped",
        )
        other.publish(topic_for("lab", "other", Leaf.RESULT), encode_message(stone))
        # A device, an outbox and a build that nobody has heard of.
        first = make_run(f"net-{number}", run_id=f"new-{number}", sha256=f"{number:064x}")
        result = make_result(1, first, device=f"new-{number}")
        other.publish(topic_for("lab", f"new-{number}", Leaf.RESULT), encode_message(result))

    def close(self) -> None:
        """Disconnect."""
        self.other.close()
        self.outboxes.close()


@contextlib.contextmanager
def talking(talk: Talk) -> Iterator[None]:
    """Let devices talk: what a dying collector had in hand is gone, so they say more and again."""
    done = threading.Event()

    def keep_talking() -> None:
        talk.more()
        while not done.wait(_AGAIN_AFTER_S):
            talk.more()

    thread = threading.Thread(target=keep_talking)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def stored(store_url: str) -> dict[str, list[str]]:
    """Ids of the stored runs by device, as often as they are stored."""
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        rows = connection.execute(
            sa.select(devices.c.device, results.c.run_id)
            .join(epochs, epochs.c.id == results.c.epoch_id)
            .join(devices, devices.c.id == epochs.c.device_id)
        ).all()
    found: dict[str, list[str]] = {}
    for device, run_id in rows:
        found.setdefault(device, []).append(run_id)
    return found


@pytest.fixture
def victim(mosquitto: Mosquitto, store_url: str, tmp_path: Path) -> Iterator[Victim]:
    """A maker of collectors that die."""
    with contextlib.closing(Victim(mosquitto.url, store_url, tmp_path)) as made:
        yield made


def test_a_collector_killed_at_any_step_loses_nothing_and_stores_nothing_twice(
    victim: Victim,
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    store_url: str,
    fault: MakeRow,
) -> None:
    """Each collector takes over from one that died a step earlier in the order of steps."""
    kind = store_url.split(":", maxsplit=1)[0]
    row = fault(
        f"SIGKILL of a collector at every step ({kind})",
        holds="what is acknowledged is stored; at the end published = stored = acknowledged",
    )
    with contextlib.closing(Talk(mosquitto.url, each=60)) as talk:
        pid = victim.begin(NOWHERE)
        with talking(talk):
            assert eventually(lambda: talk.outboxes.acked >= DEVICES and talk.other.acks())
        os.kill(pid, signal.SIGTERM)
        assert victim.end() == 0
        steps = victim.steps()
        assert {"a batch: committed", "a batch: INSERT results", "a batch: one is published"} <= (
            set(steps)
        )
        # On SQLite at all of them; on PostgreSQL at a part, for the steps are the same.
        for step in steps if kind == "sqlite" else steps[::4]:
            victim.begin(step)
            with talking(talk):
                assert victim.end() == -signal.SIGKILL, step
            row.tried()
            acked, held = talk.outboxes.acked, stored(store_url)
            assert acked <= sum(len(held.get(name, [])) for name in talk.outboxes.names), step
        start_serve("--broker", mosquitto.url)
        talk.outboxes.send()
        assert talk.outboxes.deliver(within_s=120)
        held = stored(store_url)
        mine = itertools.chain(*(held.pop(name) for name in talk.outboxes.names))
        assert sorted(mine) == talk.outboxes.run_ids
        # What these said once may be lost, and is not acknowledged then.
        assert max(Counter(itertools.chain(*held.values())).values()) == 1
    row.came_to(f"{talk.outboxes.acked} published, stored and acknowledged once")
