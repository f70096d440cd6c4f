"""When the embedded broker was behind last, for whoever asks how the fleet does."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from fleet.store.dialect import Combine, insert_or_combine
from fleet.store.schema import facts

_NAME = "embedded_broker_behind"


class BrokerBehind(msgspec.Struct, frozen=True, kw_only=True):
    """That clients sent more than the embedded broker, or its collector, carried."""

    #: Seconds since the epoch.
    at: float
    clients: int
    #: What was too much, and what to do.
    reason: str


def note_broker_behind(connection: sa.Connection, behind: BrokerBehind) -> None:
    """Keep this in place of the time before."""
    row = {"name": _NAME, "value": msgspec.json.encode(behind).decode()}
    insert_or_combine(connection, facts, ["name"], [row], {"value": Combine.REPLACE})


def broker_behind(connection: sa.Connection, *, since: float) -> BrokerBehind | None:
    """The last time, if it was not before `since`; None for none."""
    found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _NAME))
    if found is None:
        return None
    behind = msgspec.json.decode(found, type=BrokerBehind)
    return behind if behind.at >= since else None
