"""A device that runs: its real outbox, carried by the real courier to a real broker."""

from __future__ import annotations

import uuid
from pathlib import Path

from agent.courier import Courier, Patience
from contract.access import Access
from contract.address import parse_broker_url
from contract.messages import Desired, Update
from support.faults.device import DEVICE, SITE, Device, run_of

#: Short, for a broker on the loopback that answers at once.
_PATIENCE = Patience(
    reconnect_first_s=0.05, reconnect_most_s=0.2, resend_first_s=0.3, resend_most_s=0.5, idle_s=0.2
)


class Box:
    """One box with a state folder; `start` is a start of its agent."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        self.device = Device(folder)
        self._sweep = self.device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id
        self._courier: Courier | None = None

    def start(self) -> None:
        """Connect under a new boot id."""
        courier = Courier(
            parse_broker_url(self._url),
            access=Access(),
            site=SITE,
            device=DEVICE,
            boot_id=uuid.uuid4().hex,
            outbox=self.device.outbox,
            patience=_PATIENCE,
        )
        self._courier = courier
        courier.start(on_desired=self._follow)

    def stop(self) -> None:
        """Disconnect; the state folder stays in use."""
        if self._courier is not None:
            self._courier.stop()
            self._courier = None

    def close(self) -> None:
        """Disconnect and leave the state folder to others."""
        self.stop()
        self.device.close()

    def measure(self, *names: str, top1: float = 0.9) -> None:
        """Put runs into the outbox, each of a variant of its own."""
        for name in names:
            run = run_of(self._sweep, name, variant=f"net-{name}", top1=top1)
            self.device.keeper.keep(run)
        if self._courier is not None:
            self._courier.collect()

    @property
    def is_delivered(self) -> bool:
        """Whether the fleet has acknowledged everything."""
        return self.device.outbox.unacknowledged() == 0

    def _follow(self, wanted: Desired) -> None:
        activation = self.device.activation
        if activation.is_news(wanted):
            activation.settle(activation.standing.adopting(wanted))
        standing = activation.standing
        assert self._courier is not None
        self._courier.say(
            Update(
                site=SITE,
                device=DEVICE,
                at=1.0,
                phase=standing.phase,
                generation=standing.generation,
                active_variant=standing.active_variant,
            )
        )
