"""How likely a run ends badly, by what became of it on other devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from fleet.predicting.record import DeviceRecord, Unit

#: What happened on other kinds of boxes counts as so many runs on this kind.
_USUAL_RUNS = 1.0


class FailureTally:
    """Counts which runs failed on which kinds of boxes.

    A kind is a processor with its memory, in whole gigabytes, and its quantized engines.
    """

    def __init__(self, records: Iterable[DeviceRecord]) -> None:
        self._tried: Counter[tuple[object, Unit]] = Counter()
        self._failed: Counter[tuple[object, Unit]] = Counter()
        for record in records:
            for unit, candidate in record.measured.items():
                for group in (_kind(record), _arch(record)):
                    self._tried[group, unit] += 1
                    self._failed[group, unit] += candidate.failure is not None

    def chance(self, unit: Unit, record: DeviceRecord) -> float:
        """Chance (0 to 1) that `unit` fails on a device that has not tried it.

        The share of failures on its kind of box, drawn towards the share on its architecture
        where the kind has tried it seldom.
        """
        arch, kind = (_arch(record), unit), (_kind(record), unit)
        usual = self._failed[arch] / self._tried[arch] if self._tried[arch] else 0.0
        return (self._failed[kind] + _USUAL_RUNS * usual) / (self._tried[kind] + _USUAL_RUNS)


def _kind(record: DeviceRecord) -> tuple[object, ...]:
    told = record.inventory
    if told is None:
        return ("kind",)
    return ("kind", told.cpu_model, round(told.ram_bytes / 1e9), *told.engines)


def _arch(record: DeviceRecord) -> tuple[object, ...]:
    return ("arch", record.inventory.arch if record.inventory else None)
