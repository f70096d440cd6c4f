"""What another policy would change, device by device; nothing is stored."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fleet.choosing.decision import Evidence, Incumbent, Outcome, Ref, Status
from fleet.choosing.explanation import reason
from fleet.choosing.policy import Policy
from fleet.choosing.selection import decide
from fleet.store.recommendation import gather
from fleet.store.rollout import current_desired
from fleet.store.roster import Device


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One device under another policy.

    `now` is what it is desired to run, None where nothing is; `then` is what would be
    recommended, within all limits, None where nothing would.
    """

    site: str
    device: str
    status: Status
    now: Ref | None
    then: Ref | None
    #: Another build of the same variant counts as well.
    changes: bool
    reason: str


def what_if(connection: sa.Connection, devices: Sequence[Device], policy: Policy) -> list[Change]:
    """Decide for each device under `policy`, against what it is desired to run now.

    The present choice stays where the new policy's winner is not better beyond the tie band,
    as it would after the change of policy.
    """
    wanted = {
        (one.site, one.device): Incumbent(Ref(one.variant, one.threads), one.sha256)
        for one in current_desired(connection)
    }
    return [
        _change(connection, device, policy, wanted.get((device.site, device.device)))
        for device in devices
    ]


def _change(
    connection: sa.Connection, device: Device, policy: Policy, present: Incumbent | None
) -> Change:
    evidence = msgspec.structs.replace(gather(connection, device, policy), incumbent=present)
    outcome = decide(evidence)
    then = _chosen(evidence, outcome)
    return Change(
        site=device.site,
        device=device.device,
        status=outcome.status,
        now=present.ref if present else None,
        then=then.ref if then else None,
        changes=then is not None and then != present,
        reason=reason(evidence, outcome),
    )


def _chosen(evidence: Evidence, outcome: Outcome) -> Incumbent | None:
    if outcome.status is not Status.CHOSEN or outcome.pick is None:
        return None
    return Incumbent(outcome.pick, evidence.candidate(outcome.pick).sha256)
