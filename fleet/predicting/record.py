"""What one device is and what it has measured of a bundle set."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from contract.messages import Inventory
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Ref, ref_of


class Unit(msgspec.Struct, frozen=True, order=True):
    """What can be compared between devices: a variant, and which share of the cores it gets.

    Four threads are all of a Pi and a third of a server, so counts of threads say little.
    """

    variant: str
    #: 0 for a single thread; else threads as a share of the cores, 1 for all of them.
    share: float


class DeviceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One device: its inventory, None where it has told none, and its latest current runs."""

    site: str
    device: str
    inventory: Inventory | None
    candidates: tuple[Candidate, ...]

    @property
    def name(self) -> str:
        """`site/device`."""
        return f"{self.site}/{self.device}"

    @property
    def processor(self) -> str | None:
        """Model of the processor."""
        return self.inventory.cpu_model if self.inventory else None

    @property
    def cores(self) -> int:
        """Cores that it can use, or the most threads that it has tried."""
        if self.inventory is not None:
            return self.inventory.usable_cores
        return max((one.threads for one in self.candidates), default=1)

    @property
    def measured(self) -> dict[Unit, Candidate]:
        """What this device has tried, whatever came of it."""
        return {self.unit_of(ref_of(one)): one for one in self.candidates}

    def unit_of(self, ref: Ref) -> Unit:
        """Return the unit that a variant and thread count are on this device."""
        if ref.threads == 1:
            return Unit(ref.variant, 0.0)
        return Unit(ref.variant, round(ref.threads / self.cores, 2))

    def refs(self, known: Iterable[Unit]) -> dict[Unit, Ref]:
        """All of `known` that this device can run, and what it has measured, in order.

        Variants and thread counts are those of its inventory. Where that names no thread
        counts, each share that comes to a whole number of threads counts.
        """
        found = {unit: ref_of(one) for unit, one in self.measured.items()}
        told = self.inventory
        variants = set(told.variants) if told else set()
        threads = set(told.threads) if told else set()
        for unit in known:
            count = 1 if unit.share == 0 else round(unit.share * self.cores)
            ref = Ref(unit.variant, count)
            is_had = not variants or unit.variant in variants
            is_run = count in threads if threads else self.unit_of(ref) == unit
            if is_had and is_run and self.unit_of(ref) == unit:
                found.setdefault(unit, ref)
        return {unit: found[unit] for unit in sorted(found)}


def known_units(records: Iterable[DeviceRecord]) -> dict[Unit, Candidate]:
    """A candidate for every unit that any device has run well, in order.

    Its file size, accuracy and shape are those of the variant everywhere; its other figures
    are of some device and mean nothing elsewhere.
    """
    found: dict[Unit, Candidate] = {}
    for record in sorted(records, key=lambda one: one.name):
        for unit, candidate in record.measured.items():
            if candidate.failure is None:
                found.setdefault(unit, candidate)
    return {unit: found[unit] for unit in sorted(found)}
