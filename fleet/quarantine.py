"""What could not be accepted, kept with the reason."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from contract.messages import MAX_MESSAGE_BYTES
from fleet.delivery import Refused
from fleet.schema import quarantine

_TOPIC_CHARACTERS = 1000
_REASON_CHARACTERS = 2000


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """One refused message; the same bytes that came again are counted in `times`."""

    topic: str
    reason: str
    payload_bytes: int
    times: int
    first_at: float
    last_at: float
    #: The first characters of the payload, unreadable bytes escaped.
    excerpt: str


def put_in_quarantine(connection: sa.Connection, refused: Refused, *, now: float) -> None:
    """Keep a refused message; the same bytes under the same topic again only count up."""
    topic = _storable(refused.delivery.topic)[:_TOPIC_CHARACTERS]
    digest = refused.delivery.sha256
    again = connection.execute(
        sa.update(quarantine)
        .where(quarantine.c.topic == topic, quarantine.c.payload_sha256 == digest)
        .values(times=quarantine.c.times + 1, last_at=now),
    )
    if again.rowcount:
        return
    connection.execute(
        sa.insert(quarantine).values(
            topic=topic,
            site=refused.site,
            device=refused.device,
            reason=_storable(refused.reason)[:_REASON_CHARACTERS],
            payload=refused.delivery.payload[:MAX_MESSAGE_BYTES],
            payload_bytes=len(refused.delivery.payload),
            payload_sha256=digest,
            times=1,
            first_at=now,
            last_at=now,
        ),
    )


def list_quarantine(connection: sa.Connection, *, limit: int) -> list[Quarantined]:
    """List the newest refused messages, newest first."""
    rows = connection.execute(
        sa.select(quarantine)
        .order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc())
        .limit(limit),
    )
    return [
        Quarantined(
            topic=row.topic,
            reason=row.reason,
            payload_bytes=row.payload_bytes,
            times=row.times,
            first_at=row.first_at,
            last_at=row.last_at,
            excerpt=row.payload[:200].decode("utf-8", errors="backslashreplace"),
        )
        for row in rows
    ]


def _storable(text: str) -> str:
    """`text` without lone surrogates and NUL, which databases refuse."""
    return text.encode("utf-8", errors="backslashreplace").decode().replace("\0", "\\0")
