"""A whole simulation: results at a rate, and what goes wrong meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from contract.access import Access
from contract.address import BrokerAddress
from fleet.simulating.bench import SimulatedBench
from fleet.simulating.box import SimulatedDevice
from fleet.simulating.chance import chance
from fleet.simulating.clocks import draw_clock
from fleet.simulating.crowd import Crowd
from fleet.simulating.devices import draw_device
from fleet.simulating.mishaps import spoil
from fleet.simulating.plan import Plan
from fleet.simulating.tally import SimulationReport, Tally
from fleet.simulating.variants import bundle_set

#: Longest wait of the loop with nothing to do.
_IDLE_S = 0.02
#: Made between two looks at the sockets, at most.
_MADE_AT_ONCE = 200
#: No more results are made while as many wait for the fleet as it lately took so many seconds
#: for: less than the devices' patience, or they would send again what is only late.
_WAITING_AT_MOST_S = 2.0
_WAITING_AT_LEAST = 1000
#: How much of the fleet's pace is of the last tenth of a second.
_NEWEST_SHARE = 0.1
_COUNT_EVERY_S, _PROGRESS_EVERY_S = 0.1, 0.2
_SHORTEST_AWAY_S, _LONGEST_AWAY_S = 2.0, 20.0
_LATEST_DUPLICATE_S = 5.0
_MINUTE_S = 60.0
_FAREWELL_S = 10.0


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a simulation is."""

    made: int
    acknowledged: int
    aboard: int
    #: 0 to 1.
    share: float


class Simulation:
    """Simulates devices against a real broker and whoever collects there.

    Args:
        plan: what to do.
        address: where the broker is.
        access_of: how a device gets in; asked once for each connection.
        run: names this simulation; part of its devices' outboxes, so that results of another
            one are not taken for these.
        clock: seconds since the epoch.
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        plan: Plan,
        address: BrokerAddress,
        *,
        run: str,
        access_of: Callable[[SimulatedDevice], Access] = lambda _device: Access(),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._clock, self._monotonic = plan, clock, monotonic
        bench = SimulatedBench(bundle_set(plan.variants), plan.seed, kept_samples=plan.samples)
        self.devices = [
            SimulatedDevice(
                draw_device(plan.seed, index),
                site=plan.site,
                epoch=f"sim-{run}",
                clock=draw_clock(plan.seed, index, faults=plan.clock_faults, started_at=clock()),
                bench=bench,
            )
            for index in range(plan.devices)
        ]
        self._tally = Tally()
        self._draw = chance("events", plan.seed)
        self._crowd = Crowd(
            self.devices,
            plan,
            address,
            access_of,
            run=run,
            tally=self._tally,
            draw=self._draw,
            clock=clock,
            monotonic=monotonic,
        )
        self._next = 0
        self._waiting = 0
        #: Acknowledgements a second, of late, and how many there were when that was counted.
        self._pace = 0.0
        self._acknowledged = 0
        self._counted_s = monotonic()
        self._told_s = float("-inf")

    def run(
        self,
        stop: threading.Event,
        *,
        on_progress: Callable[[Progress], None] = lambda _progress: None,
        on_settled: Callable[[], None] = lambda: None,
    ) -> SimulationReport:
        """Make results, wait until all are acknowledged or the grace is over, and part.

        Args:
            stop: ends the making early; what was made is waited for all the same.
            on_progress: told a few times a second.
            on_settled: called once all that can be acknowledged is, and all are connected still.
        """
        try:
            self._make_all(stop, on_progress)
            self._settle(on_progress)
            self._told_s = float("-inf")
            self._tell(self._monotonic(), on_progress, 1.0)
            on_settled()
            self._crowd.say_farewell(_FAREWELL_S)
        finally:
            self._crowd.close()
        return self._tally.report(self._plan, self.devices)

    def _make_all(self, stop: threading.Event, on_progress: Callable[[Progress], None]) -> None:
        plan, tally = self._plan, self._tally
        began_s, spent_s = self._monotonic(), time.process_time()
        for at_s in plan.storms_s:
            self._crowd.agenda.at(began_s + at_s, self._crowd.storm)
        ends_s = began_s + (plan.duration_s if plan.duration_s is not None else float("inf"))
        total = plan.results if plan.results is not None else float("inf")
        last_s = now_s = began_s
        while not stop.is_set() and tally.made < total and now_s < ends_s:
            now_s = self._monotonic()
            due = min(total, plan.rate * (min(now_s, ends_s) - began_s))
            wanted, room = int(due) - tally.made, self._room(now_s)
            if wanted > 0 and room <= 0:
                tally.held_back_s += now_s - last_s
            made = max(0, min(wanted, room, _MADE_AT_ONCE))
            for _ in range(made):
                self._make()
            self._waiting += made
            self._churn(now_s - last_s)
            last_s = now_s
            self._crowd.step(0.0 if wanted > made and room > made else self._pause_s())
            self._tell(now_s, on_progress, self._share(now_s - began_s))
        tally.making_s = self._monotonic() - began_s
        tally.processor_s = time.process_time() - spent_s

    def _settle(self, on_progress: Callable[[Progress], None]) -> None:
        until_s = self._monotonic() + self._plan.grace_s
        self._crowd.come_back_now()
        while (now_s := self._monotonic()) < until_s:
            if not self._tally.outstanding and all(one.is_aboard for one in self.devices):
                return
            self._crowd.step(_IDLE_S)
            self._tell(now_s, on_progress, 1.0)

    def _make(self) -> None:
        """The next device measures once."""
        device = self.devices[self._next]
        self._next = (self._next + 1) % len(self.devices)
        seq = device.make_result(self._clock())
        self._tally.made += 1
        self._crowd.send(device, seq)
        plan, draw = self._plan, self._draw
        payload = device.parcels[seq].payload
        if plan.duplicates and draw.random() < plan.duplicates:
            due_s = self._monotonic() + draw.uniform(0.0, _LATEST_DUPLICATE_S)
            self._crowd.agenda.at(due_s, lambda: self._repeat(device, seq, payload))
        if plan.malformed and draw.random() < plan.malformed:
            self._tally.malformed += self._crowd.publish_raw(device, spoil(payload, draw))

    def _repeat(self, device: SimulatedDevice, seq: int, payload: bytes) -> None:
        """Send once more what was sent, acknowledged or not."""
        parcel = device.parcels.get(seq)
        if parcel is None or parcel.sent_s is not None:
            self._tally.duplicates += self._crowd.publish_raw(device, payload)

    def _churn(self, elapsed_s: float) -> None:
        """Some devices go away."""
        chance_of_one = self._plan.churn * self._plan.devices * elapsed_s / _MINUTE_S
        while chance_of_one > 0.0:
            if self._draw.random() < chance_of_one:
                self._crowd.depart(
                    self._draw.choice(self.devices),
                    for_s=self._draw.uniform(_SHORTEST_AWAY_S, _LONGEST_AWAY_S),
                    is_abrupt=self._draw.random() < 0.5,  # noqa: PLR2004 - as many as not
                )
            chance_of_one -= 1.0

    def _room(self, now_s: float) -> int:
        """How many results may be made; what waits on boxes that are away does not count."""
        elapsed_s = now_s - self._counted_s
        if elapsed_s > _COUNT_EVERY_S:
            acknowledged = self._tally.acknowledged
            pace = (acknowledged - self._acknowledged) / elapsed_s
            self._pace += (pace - self._pace) * _NEWEST_SHARE
            self._acknowledged, self._counted_s = acknowledged, now_s
            self._waiting = sum(len(one.parcels) for one in self.devices if one.is_aboard)
        at_most = max(_WAITING_AT_LEAST, round(self._pace * _WAITING_AT_MOST_S))
        return at_most - self._waiting

    def _pause_s(self) -> float:
        """Until about the next result is due."""
        return min(_IDLE_S, max(1.0 / self._plan.rate, 0.001))

    def _share(self, elapsed_s: float) -> float:
        shares = []
        if self._plan.results is not None:
            shares.append(self._tally.made / self._plan.results)
        if self._plan.duration_s is not None:
            shares.append(elapsed_s / self._plan.duration_s)
        return min(1.0, max(shares))

    def _tell(self, now_s: float, on_progress: Callable[[Progress], None], share: float) -> None:
        if now_s - self._told_s < _PROGRESS_EVERY_S:
            return
        self._told_s = now_s
        on_progress(
            Progress(
                made=self._tally.made,
                acknowledged=self._tally.acknowledged,
                aboard=sum(one.is_aboard for one in self.devices),
                share=share,
            )
        )
