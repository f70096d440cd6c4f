"""The session that a broker keeps for the collector, remembered until another one replaces it."""

from __future__ import annotations

import sqlalchemy as sa

from fleet.store.dialect import Combine, insert_or_combine
from fleet.store.schema import facts

_NAME = "mqtt_client_id"


def kept_client_id(connection: sa.Connection) -> str | None:
    """The client id of the last session that a broker kept for us; None where none is known."""
    found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == _NAME))
    return None if found is None else str(found)


def remember_client_id(connection: sa.Connection, client_id: str) -> None:
    """Remember under which client id a broker keeps our session."""
    insert_or_combine(
        connection,
        facts,
        ["name"],
        [{"name": _NAME, "value": client_id}],
        {"value": Combine.REPLACE},
    )
