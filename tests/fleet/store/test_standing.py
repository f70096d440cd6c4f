"""What is current of a device, kept beside its history and brought up to date from it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.benchmark import BenchRun
from contract.messages import Inventory, encode_message
from contract.topics import Leaf, topic_for
from fleet.choosing.figure_table import places_of_each
from fleet.choosing.figures import unpack_places
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from fleet.store.evidence import candidates_at, runs_of
from fleet.store.roster import device_ids, find_device, list_devices
from fleet.store.schema import standings
from fleet.store.standing import (
    MOST_CURRENT_RUNS,
    Standing,
    bring_up_to_date,
    standings_of,
)
from support.measurements import make_inventory, make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

Put = Callable[..., None]


@pytest.fixture
def put(database: Database) -> Put:
    """Store runs in the given places of an outbox, or an inventory."""
    intake = Intake(database)

    def give(device: str, *told: Inventory | tuple[int, BenchRun], epoch: str = "e1") -> None:
        deliveries = []
        for one in told:
            if isinstance(one, Inventory):
                leaf, message = Leaf.INVENTORY, encode_message(one)
            else:
                result = make_result(one[0], one[1], device=device, epoch=epoch)
                leaf, message = Leaf.RESULT, encode_message(result)
            deliveries.append(
                Delivery(
                    topic=topic_for("lab", device, leaf),
                    payload=message,
                    retained=False,
                    received_at=1.0,
                )
            )
        assert intake.take(deliveries, now=1.0).quarantined == 0

    return give


def standing_of(database: Database, device: str = "box") -> Standing:
    with database.writing() as connection:
        number = find_device(list_devices(connection), f"lab/{device}").id
        bring_up_to_date(connection, [number])
        (found,) = standings_of(connection, [number])
    assert found.is_fresh
    return found


def runs_in(database: Database, standing: Standing) -> list[str]:
    places = unpack_places(places_of_each([standing.entries])[0])
    with database.reading() as connection:
        found = candidates_at(connection, places)
    return [found[place][0].run_id for place in places]


def run(name: str, variant: str = "a", **changes: object) -> BenchRun:
    return make_run(variant, run_id=name, **changes)


def test_the_latest_run_of_each_variant_and_thread_count_is_current(
    database: Database, put: Put
) -> None:
    put("box", (1, run("1")), (2, run("2", "b")), (3, run("3", threads=2)), (4, run("4")))
    standing = standing_of(database)
    assert runs_in(database, standing) == ["4", "3", "2"]
    assert standing.stale_runs == 0


def test_of_a_device_without_end_of_variants_the_newest_are_current(
    database: Database, put: Put
) -> None:
    many = MOST_CURRENT_RUNS + 5
    put("box", *((seq, run(f"{seq}", f"v{seq}")) for seq in range(1, many)))
    standing_of(database)
    put("box", (many, run("last", "last")), (many + 1, run("again", "v1")))
    found = runs_in(database, standing_of(database))
    assert len(found) == MOST_CURRENT_RUNS
    assert {"last", "again", f"{many - 1}"} <= set(found)
    assert not {"1", "2", "3"} & set(found)


def test_a_standing_is_not_fresh_once_anything_came(database: Database, put: Put) -> None:
    put("box", (1, run("1")))
    number = standing_of(database).device_id
    put("box", (2, run("2")))
    with database.reading() as connection:
        assert not standings_of(connection, [number])[0].is_fresh
    assert runs_in(database, standing_of(database)) == ["2"]


def test_a_run_that_comes_late_does_not_replace_a_newer_one(database: Database, put: Put) -> None:
    put("box", (5, run("5")))
    standing_of(database)
    put("box", (4, run("4")), (3, run("3", "b")))
    assert runs_in(database, standing_of(database)) == ["5", "3"]


def test_runs_of_another_environment_are_stale_and_come_back_with_it(
    database: Database, put: Put
) -> None:
    put("box", make_inventory("box", fingerprint="old"), (1, run("1", fingerprint="old")))
    put("box", (2, run("2", "b", fingerprint="new")))
    before = standing_of(database)
    assert (runs_in(database, before), before.stale_runs) == (["1"], 1)
    put("box", make_inventory("box", fingerprint="new"))
    after = standing_of(database)
    assert (runs_in(database, after), after.stale_runs) == (["2"], 1)
    put("box", make_inventory("box", fingerprint="old"))
    assert standing_of(database).entries == before.entries


def test_without_an_inventory_the_newest_run_says_what_is_current(
    database: Database, put: Put
) -> None:
    put("box", (1, run("1", fingerprint="old")), (2, run("2", "b", fingerprint="old")))
    assert runs_in(database, standing_of(database)) == ["1", "2"]
    put("box", (3, run("3", fingerprint="new")))
    standing = standing_of(database)
    assert (runs_in(database, standing), standing.stale_runs) == (["3"], 2)
    put("box", (5, run("5", "b", fingerprint="new")), epoch="e1")
    put("box", (4, run("4", fingerprint="old")), epoch="e1")
    standing = standing_of(database)
    assert (runs_in(database, standing), standing.stale_runs) == (["3", "5"], 3)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_bit_by_bit_gives_the_same_as_all_at_once(
    database: Database, put: Put, data: st.DataObject
) -> None:
    with database.reading() as connection:
        device = f"d-{len(device_ids(connection))}"
    told: list[Inventory | tuple[int, BenchRun]] = []
    for seq in data.draw(st.permutations(range(1, 8))):
        fingerprint = data.draw(st.sampled_from(["old", "new"]))
        variant = data.draw(st.sampled_from("ab"))
        told.append((seq, run(f"{device}-{seq}", variant, fingerprint=fingerprint)))
        if data.draw(st.integers(0, 5)) == 0:
            said = data.draw(st.sampled_from(["old", "new"]))
            told.append(make_inventory(device, fingerprint=said))
    for one in told:
        put(device, one)
        bitwise = standing_of(database, device)
    with database.writing() as connection:
        stored = find_device(list_devices(connection), device)
        connection.execute(sa.delete(standings).where(standings.c.device_id == stored.id))
        current = [one for one in runs_of(connection, stored) if one.current]
        assert bitwise.stale_runs == len(runs_of(connection, stored)) - len(current)
    assert standing_of(database, device) == bitwise
