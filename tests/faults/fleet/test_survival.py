"""Good and malformed messages of many devices, with accounts, while the collector is killed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.lib.fleet_survival import (
    Load,
    MakeBroker,
    embedded_broker,
    mosquitto_broker,
    survive,
)
from support.faults.table import Row

MakeRow = Callable[..., Row]

#: A tenth of what `benchmarks/fleet.py --only survival` sends.
LOAD = Load(devices=50, each=20, kills=2)


@pytest.mark.usefixtures("mosquitto_program")
@pytest.mark.parametrize(
    ("make_broker", "store_url"),
    [(mosquitto_broker, "postgresql"), (embedded_broker, "sqlite")],
    indirect=["store_url"],
    ids=["mosquitto", "embedded"],
)
def test_what_was_published_is_stored_and_acknowledged_once_and_the_rest_put_away(
    make_broker: MakeBroker, store_url: str, tmp_path: Path, fault: MakeRow
) -> None:
    row = fault(
        f"1,000 malformed messages among 1,000 good ones, {LOAD.kills} SIGKILLs, accounts and TLS "
        f"({make_broker.__name__.partition('_')[0]}, {store_url.partition(':')[0]})",
        holds="published = stored = acknowledged, each malformed one in quarantine, nothing else",
    )
    folder = tmp_path / "devices"
    folder.mkdir()
    found = survive(folder, make_broker, LOAD, store_url)
    row.tried(found.published + found.malformed + found.kills)
    assert (found.stored, found.acknowledged) == (found.published, found.published)
    assert (found.duplicates, found.strangers) == (0, 0)
    assert found.quarantined == found.malformed == found.published
    row.came_to(
        f"{found.stored} stored and acknowledged, {found.quarantined} in quarantine, of which "
        f"{found.said_again} were lost with a killed process and sent again"
    )
