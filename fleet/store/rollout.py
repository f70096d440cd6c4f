"""Desired states: what each device should run, under a rising generation."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from contract.messages import Desired, Update
from fleet.choosing.decision import Status
from fleet.choosing.explanation import reason
from fleet.store.dialect import is_among
from fleet.store.recommendation import Recommendation
from fleet.store.schema import desired, devices

_DESIRED = msgspec.json.Decoder(Desired)
_UPDATE = msgspec.json.Decoder(Update)


def current_desired(
    connection: sa.Connection, device_ids: Collection[int] | None = None
) -> list[Desired]:
    """Latest desired state of each of these devices, or of all, that has one."""
    newest = sa.select(
        desired.c.site,
        desired.c.device,
        sa.func.max(desired.c.generation).label("generation"),
    ).group_by(desired.c.site, desired.c.device)
    if device_ids is not None:
        newest = newest.join(
            devices,
            sa.and_(devices.c.site == desired.c.site, devices.c.device == desired.c.device),
        ).where(is_among(connection, devices.c.id, device_ids))
    latest = newest.subquery()
    rows = connection.execute(
        sa.select(desired.c.message).join(
            latest,
            sa.and_(
                desired.c.site == latest.c.site,
                desired.c.device == latest.c.device,
                desired.c.generation == latest.c.generation,
            ),
        ),
    )
    return [_DESIRED.decode(row.message) for row in rows]


def latest_decision(connection: sa.Connection) -> int:
    """Number of the latest decision that became a desired state; 0 where none did."""
    return connection.scalar(sa.select(sa.func.max(desired.c.decision_id))) or 0


def desired_since(connection: sa.Connection, decision_id: int) -> list[Desired]:
    """Desired states of later decisions, in their order."""
    rows = connection.execute(
        sa.select(desired.c.message)
        .where(desired.c.decision_id > decision_id)
        .order_by(desired.c.decision_id, desired.c.generation)
    )
    return [_DESIRED.decode(row.message) for row in rows]


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """What applying a recommendation does to one device.

    `desired` is what the device shall run; None where it is left alone, for `reason`.
    """

    site: str
    device: str
    changed: bool
    desired: Desired | None
    reason: str


def plan_rollout(
    connection: sa.Connection,
    recommendation: Recommendation,
    *,
    now: float,
) -> Rollout:
    """What applying a recommendation would change; writes nothing.

    Only a choice within all limits is applied: a nearest miss is for a person to judge.
    """
    evidence, pick = recommendation.evidence, recommendation.pick
    if recommendation.outcome.status is not Status.CHOSEN or pick is None:
        return Rollout(
            site=evidence.site,
            device=evidence.device,
            changed=False,
            desired=None,
            reason=f"{recommendation.outcome.status.value}: "
            f"{reason(evidence, recommendation.outcome)}",
        )
    known = _latest(connection, evidence.site, evidence.device)
    asked = 0 if known is None else known.generation
    # A store restored from a backup forgot generations that devices have followed already.
    followed = _followed(connection, evidence.site, evidence.device)
    wanted = Desired(
        site=evidence.site,
        device=evidence.device,
        at=now,
        generation=max(asked, followed) + 1,
        variant=pick.variant,
        sha256=pick.sha256,
        threads=pick.threads,
        policy=evidence.terms.policy,
    )
    if known is not None and followed <= asked and _content(known) == _content(wanted):
        return Rollout(
            site=evidence.site,
            device=evidence.device,
            changed=False,
            desired=known,
            reason=f"desired since generation {known.generation}",
        )
    before = "nothing" if known is None else known.variant
    return Rollout(
        site=evidence.site,
        device=evidence.device,
        changed=True,
        desired=wanted,
        reason=f"replaces {before}",
    )


def store_rollout(connection: sa.Connection, rollout: Rollout, *, decision_id: int) -> None:
    """Store the new generation of a planned rollout; nothing where nothing changes."""
    if not rollout.changed or rollout.desired is None:
        return
    connection.execute(
        sa.insert(desired).values(
            site=rollout.site,
            device=rollout.device,
            generation=rollout.desired.generation,
            decision_id=decision_id,
            message=msgspec.json.encode(rollout.desired).decode(),
        ),
    )


def roll_out(
    connection: sa.Connection,
    recommendations: Iterable[Recommendation],
    *,
    now: float,
    dry_run: bool,
) -> list[Rollout]:
    """Make recommendations desired states, or say what that would change; publishes nothing."""
    planned = [(one, plan_rollout(connection, one, now=now)) for one in recommendations]
    if not dry_run:
        for one, rollout in planned:
            store_rollout(connection, rollout, decision_id=one.id)
    return [rollout for _, rollout in planned]


def _latest(connection: sa.Connection, site: str, device: str) -> Desired | None:
    message = connection.scalar(
        sa.select(desired.c.message)
        .where(desired.c.site == site, desired.c.device == device)
        .order_by(desired.c.generation.desc())
        .limit(1),
    )
    return None if message is None else _DESIRED.decode(message)


def _followed(connection: sa.Connection, site: str, device: str) -> int:
    """Newest generation that the device itself tells of."""
    progress = connection.scalar(
        sa.select(devices.c.progress).where(devices.c.site == site, devices.c.device == device),
    )
    return 0 if progress is None else _UPDATE.decode(progress).generation


def _content(wanted: Desired) -> tuple[str, str, int]:
    return wanted.variant, wanted.sha256, wanted.threads
