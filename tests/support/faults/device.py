"""A device's keeping of results: the agent's real code, without workers and network."""

from __future__ import annotations

from pathlib import Path

from agent.activation import STANDING_NAME, Activation
from agent.keeper import RunKeeper
from agent.observation import Observation, Taken
from agent.salvage import open_outbox
from agent.statelock import hold_state_dir
from agent.sweeplog import SweepLog
from contract.benchmark import BenchRun, Conditions
from contract.messages import Desired
from support.faults.store import Store
from support.measurements import make_run

SITE, DEVICE = "lab", "box"


class Device:
    """Opens a state folder as the daemon does."""

    def __init__(self, state_dir: Path, *, limit_bytes: int = 64_000_000) -> None:
        self.state_dir = state_dir
        self._lock = hold_state_dir(state_dir)
        self.journal, self.outbox = open_outbox(
            state_dir / "agent.sqlite", limit_bytes=limit_bytes, site=SITE, device=DEVICE
        )
        self.sweeplog = SweepLog(self.journal)
        self.keeper = RunKeeper(self.journal, self.outbox, self.sweeplog)
        self.activation = Activation(state_dir / STANDING_NAME)

    def close(self) -> None:
        """Leave the state folder as an agent does that was told to stop."""
        self.journal.close()
        self._lock.close()

    def deliver(self, store: Store, *, at_once: int = 32) -> None:
        """Hear what the fleet has, and send until everything is acknowledged."""
        self.hear(store)
        last = None
        while parcels := self.outbox.pending(at_once):
            assert parcels != last, f"the fleet never acknowledges {[p.seq for p in parcels]}"
            last = parcels
            store.take([parcel.payload for parcel in parcels])
            self.hear(store)

    def hear(self, store: Store) -> None:
        """Take the acknowledgement that the fleet keeps for this device, where it has one."""
        mine = store.ack().get(self.outbox.epoch)
        if mine is not None:
            self.outbox.acknowledge(mine)


def run_of(
    sweep_id: str,
    name: str,
    *,
    variant: str = "net-base",
    samples: int = 0,
    **changes: object,
) -> BenchRun:
    """A run that is told from others by its id."""
    samples_ms = [1.2345678 + n for n in range(samples)]
    return make_run(variant, sweep_id=sweep_id, run_id=name, samples_ms=samples_ms, **changes)


def turn_of(variant: str, number: int) -> Taken:
    """A turn of a sweep, as the sweep notes it before the run is complete."""
    observation = Observation(
        threads=1,
        started_at=1.0,
        duration_s=1.0,
        before=Conditions(),
        after=Conditions(),
        outcome=None,
        damage="none; this turn is told by its number",
    )
    return Taken(key=(variant, 1), number=number, observation=observation)


def desired(generation: int, variant: str) -> Desired:
    """What the fleet may desire of the device."""
    return Desired(
        site=SITE,
        device=DEVICE,
        at=1.0,
        generation=generation,
        variant=variant,
        sha256="ab" * 32,
        threads=1,
        policy="most-accurate",
    )
