"""What could not be accepted, kept with the reason."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import sqlalchemy as sa

from contract.messages import MAX_MESSAGE_BYTES
from fleet.errors import UnknownMessageError
from fleet.mqtt.delivery import Refused
from fleet.store.dialect import is_among
from fleet.store.schema import quarantine

_TOPIC_CHARACTERS = 1000
_REASON_CHARACTERS = 2000
_EXCERPT_BYTES = 200


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """One refused message; the same bytes that came again are counted in `times`."""

    number: int
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
        _QUARANTINED.order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc()).limit(limit)
    )
    return [_quarantined(row) for row in rows]


def page_of_quarantine(
    connection: sa.Connection, *, before: int | None, limit: int
) -> list[Quarantined]:
    """At most `limit` refused messages below the number `before`, highest number first."""
    query = _QUARANTINED.order_by(quarantine.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(quarantine.c.id < before)
    return [_quarantined(row) for row in connection.execute(query)]


def messages_numbered(connection: sa.Connection, numbers: Collection[int]) -> list[Quarantined]:
    """The refused messages of these numbers, as far as they are there, in their order."""
    query = _QUARANTINED.where(is_among(connection, quarantine.c.id, numbers))
    return [_quarantined(row) for row in connection.execute(query.order_by(quarantine.c.id))]


def numbers_in_quarantine(connection: sa.Connection) -> list[int]:
    """Numbers of all refused messages, oldest first."""
    return list(connection.scalars(sa.select(quarantine.c.id).order_by(quarantine.c.id)))


def find_quarantined(connection: sa.Connection, number: int) -> Quarantined:
    """Return the refused message of a number.

    Raises:
        UnknownMessageError: there is none.
    """
    row = connection.execute(_QUARANTINED.where(quarantine.c.id == number)).one_or_none()
    if row is None:
        message = f"no message {number} in quarantine; 'edgewright-fleet quarantine' lists them"
        raise UnknownMessageError(message)
    return _quarantined(row)


def payload_of(connection: sa.Connection, number: int) -> bytes:
    """Bytes of a refused message, at most the largest size that a message may have."""
    payload = connection.scalar(sa.select(quarantine.c.payload).where(quarantine.c.id == number))
    return bytes(payload or b"")


def forget_quarantined(connection: sa.Connection, number: int) -> None:
    """Take a message out of quarantine."""
    connection.execute(sa.delete(quarantine).where(quarantine.c.id == number))


_QUARANTINED = sa.select(
    quarantine.c.id,
    quarantine.c.topic,
    quarantine.c.reason,
    quarantine.c.payload_bytes,
    quarantine.c.times,
    quarantine.c.first_at,
    quarantine.c.last_at,
    sa.func.substr(quarantine.c.payload, 1, _EXCERPT_BYTES).label("excerpt"),
)


def _quarantined(row: Any) -> Quarantined:  # noqa: ANN401 - a row of the query above
    return Quarantined(
        number=row.id,
        topic=row.topic,
        reason=row.reason,
        payload_bytes=row.payload_bytes,
        times=row.times,
        first_at=row.first_at,
        last_at=row.last_at,
        excerpt=bytes(row.excerpt or b"").decode("utf-8", errors="backslashreplace"),
    )


def _storable(text: str) -> str:
    """`text` without lone surrogates and NUL, which databases refuse."""
    return text.encode("utf-8", errors="backslashreplace").decode().replace("\0", "\\0")
