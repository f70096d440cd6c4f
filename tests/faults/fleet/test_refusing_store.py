"""One message at which the store fails, whatever the reason, while other devices send."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from fleet.store.database import Database
from fleet.store.dialect import is_postgresql
from fleet.store.quarantine import Quarantined, list_quarantine
from fleet.store.schema import results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.table import Row
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

MakeRow = Callable[..., Row]

#: Triggers under which a store fails at one variant, by a code that stands for nothing known.
_ON_POSTGRESQL = (
    """
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no row like this' USING ERRCODE = 'ZZ123'; END $$
    """,
    """
    CREATE TRIGGER failing BEFORE INSERT ON results FOR EACH ROW
    WHEN (NEW.variant = 'net-odd') EXECUTE FUNCTION fail()
    """,
)
_ON_SQLITE = (
    """
    CREATE TRIGGER failing BEFORE INSERT ON results WHEN NEW.variant = 'net-odd'
    BEGIN SELECT abs(-9223372036854775807 - 1); END
    """,
)


def fail_at_one_variant(database: Database) -> None:
    with database.writing() as connection:
        for statement in _ON_POSTGRESQL if is_postgresql(connection) else _ON_SQLITE:
            connection.execute(sa.text(statement))


def test_a_message_at_which_the_store_fails_for_no_known_reason_is_put_away(
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    connect: Callable[..., DeviceClient],
    database: Database,
    store_url: str,
    fault: MakeRow,
) -> None:
    kind = store_url.split(":", maxsplit=1)[0]
    row = fault(
        f"the store fails at one message, for a reason that nobody knows ({kind})",
        holds="that message is in quarantine with the store's words, all others are acknowledged",
    )
    fail_at_one_variant(database)
    serve = start_serve("--broker", mosquitto.url)
    odd, good = connect(mosquitto.url, device="odd"), connect(mosquitto.url, device="good")
    for seq in range(1, 21):
        good.send(make_result(seq, make_run(run_id=f"good-{seq}"), device="good"))
        if seq == 10:
            odd.send(make_result(1, make_run("net-odd"), device="odd"))
        row.tried()
    assert eventually(lambda: good.is_acked(20))
    assert eventually(lambda: odd.is_acked(1))
    (rejection,) = odd.acks()[-1].epochs["e-1"].rejected
    with database.reading() as connection:
        (refused,) = list_quarantine(connection, limit=10)
        stored = connection.scalar(sa.select(sa.func.count()).select_from(results))
    expected = "integer overflow" if kind == "sqlite" else "no row like this"
    assert expected in refused.reason
    assert "the store cannot hold it" in rejection.reason
    assert stored == 20
    assert serve.stop() == 0
    row.came_to(f"{stored} of others stored and acknowledged, 1 in quarantine")


def test_texts_too_long_for_an_index_stop_nobody(
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    connect: Callable[..., DeviceClient],
    database: Database,
    store_url: str,
    fault: MakeRow,
) -> None:
    kind = store_url.split(":", maxsplit=1)[0]
    row = fault(
        f"a run id of 20,000 characters from two outboxes, a topic of 4,000 bytes ({kind})",
        holds="the run is stored once, the topic is in quarantine, all others are acknowledged",
    )
    serve = start_serve("--broker", mosquitto.url)
    odd, good = connect(mosquitto.url, device="odd"), connect(mosquitto.url, device="good")
    run = make_run(run_id="r" * 20_000, reason="because " * 5_000)
    for epoch in ("e-1", "e-2", "e-3"):
        odd.send(make_result(1, run, device="odd", epoch=epoch))
        row.tried()
    for mark in "ab":
        # Alike in all that is kept of them.
        odd.publish("edgewright/v1/{}/odd/result".format("\U0001f4a5" * 1_000 + mark), b"?")
        row.tried()
    good.send(make_result(1, device="good"))
    assert eventually(lambda: good.is_acked(1))
    assert eventually(lambda: odd.is_acked(1, "e-3"))

    def refused_messages() -> list[Quarantined]:
        with database.reading() as connection:
            return list_quarantine(connection, limit=10)

    # They are of another topic, which the broker may hand out later.
    assert eventually(lambda: [one.times for one in refused_messages()] == [2])
    (refused,) = refused_messages()
    with database.reading() as connection:
        rows = connection.execute(sa.select(results.c.run_id, results.c.run)).all()
    stored = [row.run for row in rows if row.run_id.startswith("rrr")]
    assert len(refused.topic.encode()) <= 1_000
    assert len(stored) == 1
    assert len(stored[0]) < 10_000
    assert serve.stop() == 0
    row.came_to(f"1 of 3 stored, the others known for the same; {refused.times} in quarantine")
