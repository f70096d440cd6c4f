"""One simulated device: its outbox, its clock, and what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from contract.messages import (
    Desired,
    EpochAck,
    Phase,
    Presence,
    Result,
    State,
    Update,
    encode_message,
)
from contract.topics import Leaf, topic_for
from fleet.simulating.bench import SimulatedBench
from fleet.simulating.clocks import BoxClock
from fleet.simulating.devices import DeviceLaw
from fleet.simulating.inventories import inventory_of


class Parcel(msgspec.Struct, gc=False):
    """One message in an outbox; times are of a clock that never jumps."""

    payload: bytes
    #: When it was sent first; None where it was not yet.
    sent_s: float | None = None
    #: How long to wait for an acknowledgement the next time.
    wait_s: float = 0.0
    #: When it is to be sent again.
    due_s: float = 0.0


class SimulatedDevice:
    """A device that keeps what it measured until the fleet says that it is stored.

    Args:
        law: the box.
        site: where it is.
        epoch: name of its outbox.
        clock: what it takes for the time.
        bench: measures.
    """

    def __init__(
        self, law: DeviceLaw, *, site: str, epoch: str, clock: BoxClock, bench: SimulatedBench
    ) -> None:
        self.law = law
        self.site = site
        self.name = law.device
        self.epoch = epoch
        self.clock = clock
        self.boot = 1
        self.connection = 0
        #: Connected, and subscribed to what the fleet says.
        self.is_aboard = False
        self.made = 0
        self.through = 0
        self.rejected: set[int] = set()
        #: What is not acknowledged, by place, oldest first.
        self.parcels: dict[int, Parcel] = {}
        self._bench = bench
        self._result_topic = self.topic(Leaf.RESULT)
        self._desired: Desired | None = None

    @property
    def result_topic(self) -> str:
        """Where its results go."""
        return self._result_topic

    def topic(self, leaf: Leaf) -> str:
        """One of its topics."""
        return topic_for(self.site, self.name, leaf)

    def make_result(self, now: float) -> int:
        """Measure once more; returns the place of the result in the outbox."""
        run = self._bench.run(self.law, self.made, at=self.clock.at(now))
        self.made += 1
        message = Result(site=self.site, device=self.name, epoch=self.epoch, seq=self.made, run=run)
        self.parcels[self.made] = Parcel(encode_message(message))
        return self.made

    def acknowledge(self, ack: EpochAck) -> Iterator[Parcel]:
        """Yield what the fleet has stored or refused since, and keep it no longer."""
        self.rejected |= {one.seq for one in ack.rejected}
        while self.through < min(ack.through, self.made):
            self.through += 1
            parcel = self.parcels.pop(self.through, None)
            if parcel is not None:
                yield parcel

    def take_up(self, desired: Desired) -> bytes:
        """Serve what is desired from now on; returns the report of it."""
        self._desired = desired
        return self.update(desired.at)

    def update(self, now: float) -> bytes:
        """Which variant it serves."""
        desired = self._desired
        return encode_message(
            Update(
                site=self.site,
                device=self.name,
                at=self.clock.at(now),
                phase=Phase.ACTIVE if desired else Phase.IDLE,
                active_variant=desired.variant if desired else None,
                active_sha256=desired.sha256 if desired else None,
                generation=desired.generation if desired else 0,
            )
        )

    def state(self, presence: Presence, now: float) -> bytes:
        """Birth or death of its present connection."""
        return encode_message(
            State(
                site=self.site,
                device=self.name,
                presence=presence,
                boot_id=f"{self.epoch}-boot-{self.boot}",
                connection=self.connection,
                at=self.clock.at(now),
            )
        )

    def inventory(self, now: float) -> bytes:
        """What the box is."""
        variants = self._bench.variants
        return encode_message(
            inventory_of(self.law, variants, site=self.site, at=self.clock.at(now))
        )
