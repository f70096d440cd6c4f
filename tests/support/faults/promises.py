"""Whether a device that lost its power still keeps what it had promised."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.errors import AgentError
from support.faults.device import Device, run_of
from support.faults.disk import Cut
from support.faults.scenario import Promise
from support.faults.store import Store


@dataclass
class Promised:
    """The marks up to a cut, summed up."""

    kept: dict[str, int] = field(default_factory=dict)
    may_drop: bool = False
    store: str | None = None
    settled: int = 0
    settling: int = 0
    epoch: str | None = None
    turns: int = 0

    @classmethod
    def by(cls, marks: Sequence[str]) -> Promised:
        """Sum up marks."""
        summed = cls()
        for mark in marks:
            one = msgspec.json.decode(mark, type=Promise)
            if one.kept:
                summed.kept[one.kept] = one.seq
            summed.may_drop |= one.may_drop
            summed.store = one.store or summed.store
            summed.settled = one.settled or summed.settled
            summed.settling = one.settling or summed.settling
            summed.epoch = one.epoch or summed.epoch
            summed.turns = summed.turns if one.turns is None else one.turns
        return summed


class Bench:
    """Starts the device again after a cut, lets it deliver, and looks at the fleet's store.

    Args:
        scratch: a folder of a fast disk.
        copies: where the scenario left the copies of the fleet's store.
    """

    def __init__(self, scratch: Path, copies: Path) -> None:
        self._scratch = scratch
        self._copies = copies
        self._empty = scratch / "empty.db"
        self._store = Store(scratch / "fleet.db")
        self._store.copy(self._empty)
        self._numbers = itertools.count()

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    def broken_promises(self, cut: Cut) -> list[str]:
        """What does not hold after a cut, in words; empty where all is well."""
        folder = self._scratch / f"cut-{next(self._numbers)}"
        cut.image.write(folder)
        promised = Promised.by(cut.marks)
        self._store.restore(self._copies / promised.store if promised.store else self._empty)
        try:
            device = Device(folder / "lib" / "state")
        except AgentError as error:
            return [f"the agent does not start: {error}"]
        try:
            return list(self._look(device, promised))
        finally:
            device.close()
            shutil.rmtree(folder)

    def _look(self, device: Device, promised: Promised) -> Iterator[str]:
        if promised.epoch not in (None, device.outbox.epoch):
            yield "the outbox has another epoch"
        generation = device.activation.standing.generation
        if not promised.settled <= generation <= promised.settling:
            yield f"standing at generation {generation}, settled on {promised.settled}"
        sweep = device.sweeplog.latest()
        if promised.turns > (len(sweep.taken) if sweep else 0):
            yield f"a turn of {promised.turns} that were noted is lost"
        measured = _measured(device)
        later = device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id
        device.keeper.keep(run_of(later, "later"))
        device.deliver(self._store)

        arrived = Counter(self._store.run_ids())
        dropped = self._dropped() if promised.may_drop else set()
        for run_id, seq in promised.kept.items():
            if run_id not in arrived and seq not in dropped:
                yield f"{run_id} was kept and is lost"
        yield from (f"{run_id} is stored {n} times" for run_id, n in arrived.items() if n > 1)
        if not arrived.pop("later"):
            yield "the next run does not arrive"
        if not len(arrived) <= len(measured) <= len(arrived) + len(dropped):
            yield f"{len(measured)} runs are on record as measured, {len(arrived)} arrived"
        if self._store.missing() or device.outbox.unacknowledged():
            yield "the acknowledgement does not reach the end"
        yield from self._store.quarantine()

    def _dropped(self) -> set[int]:
        return {
            seq for first, last, _ in self._store.tombstones() for seq in range(first, last + 1)
        }


def _measured(device: Device) -> set[tuple[str, str]]:
    with device.journal.reading() as connection:
        return set(connection.execute("SELECT sweep_id, variant FROM runs"))
