"""What a simulation is to do."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from contract.benchmark import MAX_SAMPLES
from contract.topics import check_id
from fleet.errors import PlanError
from fleet.simulating.measuring import FEWEST_SAMPLES

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]

#: Names are `KIND-00042`: five digits.
MOST_DEVICES = 100_000
MOST_CONNECTIONS = 20_000


class Mode(enum.StrEnum):
    """How devices are connected."""

    #: Each has a connection of its own, with its own last will, as real agents have.
    OWN = "a connection a device"
    #: Several share one. MQTT has one last will a connection, and it speaks for the first of
    #: them; the others say themselves when they go, and cannot where the connection breaks.
    SHARED = "devices share connections"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is asked of a simulation; shares are 0 to 1."""

    site: str
    devices: int
    connections: int
    #: Results a second of all devices together.
    rate: float
    #: When enough results are made: after so many, or after so long. None: the other one says.
    results: int | None = None
    duration_s: float | None = None
    seed: int = 0
    #: Variants of the bundle set.
    variants: int = 20
    #: Raw latencies that each result carries; 0: none, only what follows from them.
    samples: int = 0
    #: How often a device goes away, and comes back, in a minute.
    churn: float = 0.0
    #: Share of the results that are sent once more, the same to the byte.
    duplicates: Share = 0.0
    #: Share of the boxes whose clock is wrong.
    clock_faults: Share = 0.0
    #: Messages that follow no contract, as a share of the results.
    malformed: Share = 0.0
    #: Seconds after the start at which every connection breaks and all come back at once.
    storms_s: tuple[float, ...] = ()
    #: How long the last results may take to be acknowledged.
    grace_s: float = 60.0
    #: What stays unacknowledged this long is sent again, later each time.
    resend_first_s: float = 5.0
    resend_most_s: float = 60.0

    @property
    def mode(self) -> Mode:
        """Whether each device has a connection of its own."""
        return Mode.OWN if self.connections >= self.devices else Mode.SHARED


def check_plan(plan: Plan) -> Plan:
    """Return the plan where it makes sense.

    Raises:
        TopicError: the site is not a valid identifier.
        PlanError: it makes none; the message says what does.
    """
    check_id("site", plan.site)
    if not 1 <= plan.devices <= MOST_DEVICES:
        message = f"devices {plan.devices}: expected 1 to {MOST_DEVICES}"
        raise PlanError(message)
    if not 1 <= plan.connections <= MOST_CONNECTIONS:
        message = f"connections {plan.connections}: expected 1 to {MOST_CONNECTIONS}"
        raise PlanError(message)
    if plan.results is None and plan.duration_s is None:
        message = "no end: expected a number of results, or a duration"
        raise PlanError(message)
    if plan.samples and not FEWEST_SAMPLES <= plan.samples <= MAX_SAMPLES:
        message = f"samples {plan.samples}: expected 0, or {FEWEST_SAMPLES} to {MAX_SAMPLES}"
        raise PlanError(message)
    late = [at for at in plan.storms_s if plan.duration_s is not None and at >= plan.duration_s]
    if late:
        message = f"storm at {late[0]:g} s: expected before the end, at {plan.duration_s:g} s"
        raise PlanError(message)
    return plan
