"""What became of the results of a simulation, counted while it runs."""

from __future__ import annotations

from array import array
from collections import Counter

import msgspec

from fleet.simulating.box import Parcel, SimulatedDevice
from fleet.simulating.clocks import ClockFault
from fleet.simulating.devices import Oddity
from fleet.simulating.plan import Mode, Plan

#: Below this share of what was asked, the rate was not kept.
_KEPT_SHARE = 0.98


class KindTally(msgspec.Struct, frozen=True, kw_only=True):
    """The results of all devices of one kind."""

    kind: str
    devices: int
    made: int
    acknowledged: int
    rejected: int
    outstanding: int


class SimulationReport(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulation went."""

    mode: Mode
    devices: int
    connections: int
    clock_faults: int
    odd_boxes: int
    #: Results a second, asked for and made.
    asked_rate: float
    achieved_rate: float
    is_rate_kept: bool
    #: While results were made; of it, how long none was, for too many waited for the fleet.
    making_s: float
    held_back_s: float
    #: Of one core, by this process, while results were made.
    processor_share: float
    made: int
    #: Sent at least once.
    published: int
    acknowledged: int
    #: Of these, how many the fleet will not store.
    rejected: int
    outstanding: int
    resent: int
    duplicates: int
    malformed: int
    storms: int
    departures: int
    #: Connections that were made, and those that broke without being asked to.
    connected: int
    broken: int
    #: Why the last one broke; None where none did.
    problem: str | None
    #: From the first sending to the acknowledgement.
    ack_p50_ms: float | None
    ack_p95_ms: float | None
    ack_max_ms: float | None
    kinds: list[KindTally]


class Tally:
    """Counts."""

    def __init__(self) -> None:
        self.made = 0
        self.published = 0
        self.resent = 0
        self.duplicates = 0
        self.malformed = 0
        self.storms = 0
        self.departures = 0
        self.connected = 0
        self.broken = 0
        self.problem: str | None = None
        self.making_s = 0.0
        self.held_back_s = 0.0
        self.processor_s = 0.0
        self._waited_s = array("d")

    @property
    def acknowledged(self) -> int:
        """How many results the fleet has acknowledged."""
        return len(self._waited_s)

    @property
    def outstanding(self) -> int:
        """How many it has not."""
        return self.made - self.acknowledged

    def acknowledge(self, parcel: Parcel, now_s: float) -> None:
        """Count one result as stored or refused."""
        self._waited_s.append(0.0 if parcel.sent_s is None else now_s - parcel.sent_s)

    def report(self, plan: Plan, devices: list[SimulatedDevice]) -> SimulationReport:
        """Everything that was counted."""
        waited_s = sorted(self._waited_s)
        rate = self.made / self.making_s if self.making_s > 0.0 else 0.0
        return SimulationReport(
            mode=plan.mode,
            devices=plan.devices,
            connections=min(plan.connections, plan.devices),
            clock_faults=sum(one.clock.fault is not ClockFault.NONE for one in devices),
            odd_boxes=sum(one.law.oddity is not Oddity.NONE for one in devices),
            asked_rate=plan.rate,
            achieved_rate=rate,
            is_rate_kept=rate >= plan.rate * _KEPT_SHARE,
            making_s=self.making_s,
            held_back_s=self.held_back_s,
            processor_share=self.processor_s / self.making_s if self.making_s > 0.0 else 0.0,
            made=self.made,
            published=self.published,
            acknowledged=self.acknowledged,
            rejected=sum(len(one.rejected) for one in devices),
            outstanding=self.outstanding,
            resent=self.resent,
            duplicates=self.duplicates,
            malformed=self.malformed,
            storms=self.storms,
            departures=self.departures,
            connected=self.connected,
            broken=self.broken,
            problem=self.problem,
            ack_p50_ms=_at(waited_s, 0.50),
            ack_p95_ms=_at(waited_s, 0.95),
            ack_max_ms=_at(waited_s, 1.0),
            kinds=_by_kind(devices),
        )


def _by_kind(devices: list[SimulatedDevice]) -> list[KindTally]:
    numbers = Counter(one.law.kind.name for one in devices)
    return [
        KindTally(
            kind=kind,
            devices=number,
            made=sum(one.made for one in mine),
            acknowledged=sum(one.made - len(one.parcels) for one in mine),
            rejected=sum(len(one.rejected) for one in mine),
            outstanding=sum(len(one.parcels) for one in mine),
        )
        for kind, number in sorted(numbers.items())
        for mine in [[one for one in devices if one.law.kind.name == kind]]
    ]


def _at(ordered_s: list[float], share: float) -> float | None:
    """Milliseconds below which a share lies; None of nothing."""
    return ordered_s[round((len(ordered_s) - 1) * share)] * 1000 if ordered_s else None
