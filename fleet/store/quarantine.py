"""What could not be accepted, kept with the reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from contract.messages import MAX_MESSAGE_BYTES
from contract.topics import topics_of_device
from fleet.errors import UnknownMessageError
from fleet.mqtt.delivery import Refused, storable
from fleet.store.dialect import Combine, insert_or_combine, is_among, pairs
from fleet.store.schema import quarantine

#: What is kept of one device: a device that is out of order repeats itself, and one that floods
#: must not fill the store.
MOST_MESSAGES = 1_000
MOST_BYTES = 16 * 1024 * 1024
#: PostgreSQL's index holds no key over 2,704 bytes; a topic has up to 65,535.
_TOPIC_BYTES = 1000
_REASON_CHARACTERS = 2000
_EXCERPT_BYTES = 200
_KEY = ("topic", "payload_sha256")
#: Stands in place of a digest where messages were only counted.
_COUNTED = ""
_REST = (
    f"more than {MOST_MESSAGES} different messages or {MOST_BYTES >> 20} MiB of them were refused; "
    "these were counted and not kept ('edgewright-fleet retain --quarantine-days' makes room)"
)


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """One refused message; the same bytes that came again are counted in `times`.

    Or those of a device that were only counted: their topic ends with `+`, and their bytes are
    of all of them together.
    """

    number: int
    topic: str
    reason: str
    payload_bytes: int
    times: int
    first_at: float
    last_at: float
    #: The first characters of the payload, unreadable bytes escaped.
    excerpt: str


def put_in_quarantine(
    connection: sa.Connection, refusals: Sequence[Refused], *, now: float
) -> None:
    """Keep refused messages; the same bytes under the same topic again only count up.

    Of a device `MOST_MESSAGES` different ones are kept, and as many as `MOST_BYTES` hold; all
    topics that name no device count as one device. What comes beyond is counted in one row of
    the device's, without its bytes.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for refused in refusals:
        row = _row(refused, now)
        key = row["topic"], row["payload_sha256"]
        rows.setdefault(key, row)["times"] += 1
    if not rows:
        return
    known = _known(connection, rows)
    room = _Room(connection, [row for key, row in rows.items() if key not in known])
    kept, counted = [], dict[str, dict[str, Any]]()
    for key, row in rows.items():
        if key in known or room.takes(row):
            kept.append(row)
            continue
        rest = _rest(row, now)
        mine = counted.setdefault(rest["topic"], rest)
        mine["times"] += row["times"]
        mine["payload_bytes"] += row["payload_bytes"] * row["times"]
    # In one order, so that no two collectors wait for each other.
    kept.sort(key=lambda row: (row["topic"], row["payload_sha256"]))
    again = {"times": Combine.ADD, "last_at": Combine.REPLACE}
    insert_or_combine(connection, quarantine, _KEY, kept, again)
    rests = [row for _, row in sorted(counted.items())]
    insert_or_combine(connection, quarantine, _KEY, rests, {**again, "payload_bytes": Combine.ADD})


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


class _Room:
    """How much may still be kept of the devices that some new rows are of."""

    def __init__(self, connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> None:
        names = {(row["site"], row["device"]) for row in rows}
        self._messages: Counter[_Name] = Counter()
        self._bytes: Counter[_Name] = Counter()
        named = sorted((site, device) for site, device in names if site and device)
        if named:
            wanted = pairs(connection, named, sa.Text(), sa.Text())
            both = sa.and_(
                wanted.c.first == quarantine.c.site, wanted.c.second == quarantine.c.device
            )
            self._count(connection, _kept.join(wanted, both))
        if len(named) < len(names):
            self._count(connection, _kept.where(quarantine.c.site.is_(None)))

    def takes(self, row: dict[str, Any]) -> bool:
        """Whether there is room for a row, which has it from now on."""
        name = row["site"], row["device"]
        if self._messages[name] >= MOST_MESSAGES or self._bytes[name] >= MOST_BYTES:
            return False
        self._messages[name] += 1
        self._bytes[name] += len(row["payload"])
        return True

    def _count(self, connection: sa.Connection, query: sa.Select[Any]) -> None:
        for site, device, messages, size in connection.execute(query):
            self._messages[site, device] = messages
            self._bytes[site, device] = int(size)


_Name = tuple[str | None, str | None]

_kept = (
    sa.select(
        quarantine.c.site,
        quarantine.c.device,
        sa.func.count(),
        sa.func.sum(
            sa.case(
                (quarantine.c.payload_bytes > MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES),
                else_=quarantine.c.payload_bytes,
            )
        ),
    )
    .where(quarantine.c.payload_sha256 != _COUNTED)
    .group_by(quarantine.c.site, quarantine.c.device)
)


def _known(connection: sa.Connection, keys: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of these topics and digests that are there."""
    wanted = pairs(connection, keys, sa.Text(), sa.Text())
    both = sa.and_(
        wanted.c.first == quarantine.c.topic, wanted.c.second == quarantine.c.payload_sha256
    )
    query = sa.select(quarantine.c.topic, quarantine.c.payload_sha256).join(wanted, both)
    return {(topic, digest) for topic, digest in connection.execute(query)}


def _row(refused: Refused, now: float) -> dict[str, Any]:
    payload = refused.delivery.payload
    return {
        "topic": _beginning(storable(refused.delivery.topic)),
        "site": refused.site,
        "device": refused.device,
        "reason": refused.reason[:_REASON_CHARACTERS],
        "payload": payload[:MAX_MESSAGE_BYTES],
        "payload_bytes": len(payload),
        "payload_sha256": refused.delivery.sha256,
        "times": 0,
        "first_at": now,
        "last_at": now,
    }


def _beginning(topic: str) -> str:
    return topic.encode()[:_TOPIC_BYTES].decode(errors="ignore")


def _rest(row: dict[str, Any], now: float) -> dict[str, Any]:
    """The row in which those of a device are counted that are not kept."""
    return {
        "topic": topics_of_device(row["site"] or "+", row["device"] or "+"),
        "site": row["site"],
        "device": row["device"],
        "reason": _REST,
        "payload": b"",
        "payload_bytes": 0,
        "payload_sha256": _COUNTED,
        "times": 0,
        "first_at": now,
        "last_at": now,
    }


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
