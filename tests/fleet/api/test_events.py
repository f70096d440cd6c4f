"""What listeners hear, over real connections."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from contract.messages import Presence, State, encode_message
from contract.topics import Leaf
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.store.database import Database
from fleet.store.following import Following
from fleet.store.recommendation import recommend
from fleet.store.rollout import roll_out
from fleet.store.roster import list_devices
from fleet.store.schema import results
from support.api import ApiServer
from support.devices import eventually
from support.filling import deliver, fill, refuse_one
from support.measurements import make_run
from support.stores import ON_BOTH


class Ear:
    """A client that listens in a thread, and keeps what it hears."""

    def __init__(self, api: ApiServer, last: str | None = None, query: str = "") -> None:
        """Connect, and wait for the greeting."""
        self.heard: list[tuple[str, Any]] = []
        self.last = last
        self.status: int | None = None
        headers = {} if last is None else {"Last-Event-ID": last}
        self._client = httpx.Client(base_url=api.url, timeout=30)
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._listen, args=(query, headers))
        self._thread.start()
        assert eventually(lambda: self.status is not None)
        assert self.status != 200 or eventually(lambda: bool(self.heard))

    def _listen(self, query: str, headers: dict[str, str]) -> None:
        kind, data, position = "", "", None
        with self._client.stream("GET", f"/api/v1/events{query}", headers=headers) as answer:
            if answer.status_code != 200:
                self.status = answer.status_code
                return
            stream = answer.extensions["network_stream"]
            self._socket = stream.get_extra_info("socket")
            self.status = 200
            with contextlib.suppress(httpx.HTTPError, httpx.StreamError):
                for line in answer.iter_lines():
                    field, _, value = line.partition(": ")
                    if field == "id":
                        position = value
                    elif field == "event":
                        kind = value
                    elif field == "data":
                        data = value
                    elif not line and data:
                        self.last = position or self.last
                        self.heard.append((kind, json.loads(data)))
                        data = ""

    def told(self, kind: str) -> list[Any]:
        """Data of the events of one kind."""
        return [data for one, data in list(self.heard) if one == kind]

    def hang_up(self) -> None:
        """Break the connection off, as a client does that is gone."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(120)
        self._client.close()
        assert not self._thread.is_alive()


Listen = Callable[..., Ear]


@pytest.fixture
def listen(api: ApiServer) -> Iterator[Listen]:
    ears: list[Ear] = []

    def begin(**how: Any) -> Ear:  # noqa: ANN401 - what an ear takes
        ears.append(Ear(api, **how))
        return ears[-1]

    yield begin
    for ear in ears:
        ear.hang_up()


@ON_BOTH
def test_a_listener_hears_what_is_stored_refused_decided_desired_and_who_comes(
    database: Database, listen: Listen
) -> None:
    fill(database, "box", make_run("net-0"))
    ear = listen()
    fill(database, "box", make_run("net-1"), first_seq=2)
    refuse_one(database)
    state = State(
        site="lab", device="box", at=1.0, presence=Presence.ONLINE, boot_id="b", connection=1
    )
    Intake(database).take([deliver("lab", "box", Leaf.STATE, encode_message(state))], now=2.0)
    with database.reading() as connection:
        (device,) = list_devices(connection)
    found = recommend(database, load_policy("most-accurate"), [device.id], now=3.0)
    with database.writing() as connection:
        roll_out(connection, found, now=3.0, dry_run=False)
    kinds = {"result", "quarantined", "recommendation", "presence", "desired"}
    assert eventually(lambda: {kind for kind, _ in ear.heard} >= kinds), ear.heard
    assert [one["variant"] for one in ear.told("result")] == ["net-1"]
    assert ear.told("quarantined")[0]["topic"] == "edgewright/v1/lab/box/result"
    assert ear.told("recommendation")[0]["status"] == "chosen"
    assert ear.told("presence") == [{"site": "lab", "device": "box", "presence": "online"}]
    assert ear.told("desired")[0]["generation"] == 1


def test_a_listener_that_comes_back_hears_what_it_missed(
    database: Database, listen: Listen
) -> None:
    first = listen()
    fill(database, "box", make_run("net-1"))
    assert eventually(lambda: len(first.told("result")) == 1)
    last = first.last
    runs = [make_run(f"missed-{n}") for n in range(3)]
    fill(database, "box", *runs, first_seq=2)
    second = listen(last=last)
    fill(database, "box", make_run("net-2"), first_seq=9)
    assert eventually(lambda: len(second.told("result")) == 4)
    told = [one["variant"] for one in second.told("result")]
    assert told == ["missed-0", "missed-1", "missed-2", "net-2"]


def test_a_listener_hears_only_the_kinds_that_it_asks_for(
    database: Database, listen: Listen
) -> None:
    ear = listen(query="?kind=quarantined")
    fill(database, "box", make_run())
    refuse_one(database)
    assert eventually(lambda: bool(ear.told("quarantined")))
    assert ear.told("result") == []


def test_only_so_many_may_listen_and_a_place_is_given_back(api: ApiServer, listen: Listen) -> None:
    ears = [listen() for _ in range(api.service.listeners.at_most)]
    assert listen().status == 429
    ears[0].hang_up()
    assert eventually(lambda: api.service.listeners.taken < api.service.listeners.at_most)
    assert listen().status == 200


def test_a_number_that_appears_late_is_told_all_the_same(database: Database) -> None:
    """In PostgreSQL, transactions end in another order than they took their numbers."""
    fill(database, "box", *(make_run(f"net-{n}") for n in range(1, 6)))
    with database.writing() as connection:
        rows = connection.execute(results.select().where(results.c.id.in_([2, 3]))).mappings().all()
        connection.execute(results.delete().where(results.c.id.in_([2, 3])))
    following = Following(results.c.id, 0)
    with database.reading() as connection:
        assert following.added(connection, limit=100, now=0.0) == [1, 4, 5]
        assert following.place == 1
    with database.writing() as connection:
        connection.execute(results.insert(), [dict(rows[0])])
        assert following.added(connection, limit=100, now=1.0) == [2]
        assert following.added(connection, limit=100, now=40.0) == []
        # Nobody waits for number 3 any more.
        assert following.place == 5
        connection.execute(results.insert(), [dict(rows[1])])
        assert following.added(connection, limit=100, now=41.0) == []
