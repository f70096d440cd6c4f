"""Refused messages, read once more."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery, Refused, read_delivery
from fleet.store.database import Database
from fleet.store.quarantine import (
    Quarantined,
    find_quarantined,
    forget_quarantined,
    numbers_in_quarantine,
    payload_of,
)


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one message; `problem` is why it stays, None where it was stored."""

    number: int
    topic: str
    problem: str | None


def replay(database: Database, numbers: Sequence[int] | None, *, now: float) -> list[Replayed]:
    """Give refused messages to the intake again, oldest first; None gives all of them.

    What is accepted is stored and leaves the quarantine, each message in transactions of its
    own. Devices are told at their next message, or when the collector connects.

    Raises:
        UnknownMessageError: there is no such number.
        StoreUnavailableError: the store is out of order; what was replayed before that stays so.
    """
    with database.reading() as connection:
        chosen = numbers_in_quarantine(connection) if numbers is None else sorted(set(numbers))
        for number in chosen:
            find_quarantined(connection, number)
    intake = Intake(database)
    return [_replay(database, intake, number, now) for number in chosen]


def _replay(database: Database, intake: Intake, number: int, now: float) -> Replayed:
    with database.reading() as connection:
        kept, payload = find_quarantined(connection, number), payload_of(connection, number)
    problem = _take(intake, kept, payload, now)
    if problem is None:
        with database.writing() as connection:
            forget_quarantined(connection, number)
    return Replayed(number=number, topic=kept.topic, problem=problem)


def _take(intake: Intake, kept: Quarantined, payload: bytes, now: float) -> str | None:
    """Why a message is refused again, or None."""
    if len(payload) < kept.payload_bytes:
        return f"only {len(payload)} of its {kept.payload_bytes} bytes were kept"
    delivery = Delivery(
        topic=kept.topic,
        payload=payload,
        retained=False,
        received_at=kept.last_at,
        replayed=True,
    )
    read = read_delivery(delivery)
    if isinstance(read, Refused):
        return read.reason
    if intake.take([delivery], now=now).quarantined:
        return "the store holds other content in its place, or cannot hold it"
    return None
