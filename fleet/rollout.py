"""Desired states: what each device should run, under a rising generation."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from contract.messages import Desired
from fleet.schema import desired

_DESIRED = msgspec.json.Decoder(Desired)


def current_desired(connection: sa.Connection) -> list[Desired]:
    """Latest desired state of every device that has one."""
    newest = sa.select(
        desired.c.site,
        desired.c.device,
        sa.func.max(desired.c.generation).label("generation"),
    ).group_by(desired.c.site, desired.c.device)
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


def next_desired(
    connection: sa.Connection,
    wanted: Desired,
    *,
    decision_id: int,
) -> Desired | None:
    """Store `wanted` under the device's next generation; None where it is desired already.

    The generation that `wanted` carries is replaced.
    """
    row = connection.execute(
        sa.select(desired.c.generation, desired.c.message)
        .where(desired.c.site == wanted.site, desired.c.device == wanted.device)
        .order_by(desired.c.generation.desc())
        .limit(1),
    ).one_or_none()
    if row is not None:
        known = _DESIRED.decode(row.message)
        if (known.variant, known.sha256, known.threads) == (
            wanted.variant,
            wanted.sha256,
            wanted.threads,
        ):
            return None
    generation = 1 if row is None else row.generation + 1
    message = msgspec.structs.replace(wanted, generation=generation)
    connection.execute(
        sa.insert(desired).values(
            site=message.site,
            device=message.device,
            generation=generation,
            decision_id=decision_id,
            message=msgspec.json.encode(message).decode(),
        ),
    )
    return message
