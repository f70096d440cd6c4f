"""What the API lists, a page at a time, on both kinds of store."""

from __future__ import annotations

import json

from contract.messages import Presence, State, encode_message
from contract.topics import Leaf
from fleet.collecting.intake import Intake
from fleet.store.database import Database
from fleet.store.tokens import Role
from support.api import ApiServer
from support.commands import run_command
from support.filling import deliver, fill, refuse_one
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH


def test_pages_of_devices_hold_each_once_in_the_order_of_their_names(
    api: ApiServer, database: Database
) -> None:
    for site in ("hall", "lab"):
        for device in ("c", "a", "b"):
            fill(database, device, make_run(), site=site)
    pages = api.pages("/devices", limit=4)
    assert [[f"{one['site']}/{one['device']}" for one in page] for page in pages] == [
        ["hall/a", "hall/b", "hall/c", "lab/a"],
        ["lab/b", "lab/c"],
    ]


def test_devices_are_told_apart_by_site_group_presence_and_completeness(
    api: ApiServer, database: Database
) -> None:
    fill(database, "whole", make_run(), groups=["told"])
    fill(database, "gap", make_run(), first_seq=3, site="hall")
    state = State(
        site="hall", device="gap", at=1.0, presence=Presence.ONLINE, boot_id="b", connection=1
    )
    Intake(database).take([deliver("hall", "gap", Leaf.STATE, encode_message(state))], now=2.0)
    operate = api.token(Role.OPERATE)
    put = api.client.put("/api/v1/devices/hall/gap/groups/given", headers=operate)
    assert put.status_code == 200, put.text
    assert put.json()["groups"] == ["given"]

    def named(**query: object) -> list[str]:
        return [one["device"] for one in api.get("/devices", **query)["items"]]

    assert named(site="lab") == ["whole"]
    assert named(complete="true") == ["whole"]
    assert named(complete="false") == ["gap"]
    assert named(presence="online") == ["gap"]
    assert named(presence="offline") == []
    assert (named(group="told"), named(group="given"), named(group="none")) == (
        ["whole"],
        ["gap"],
        [],
    )
    (row,) = api.get("/devices", complete="false")["items"]
    assert (row["results"], row["missing"], row["complete"]) == (1, 2, False)


def test_the_fleets_results_come_in_the_order_of_their_arrival(
    api: ApiServer, database: Database
) -> None:
    fill(database, "a", make_run("net-1"), make_run("net-2"))
    fill(database, "b", make_run("net-1"), site="hall")
    fill(database, "a", make_run("net-3"), first_seq=3)
    pages = api.pages("/results", limit=3)
    told = [(one["site"], one["variant"], one["seq"]) for page in pages for one in page]
    assert (len(pages), told) == (
        2,
        [("lab", "net-1", 1), ("lab", "net-2", 2), ("hall", "net-1", 1), ("lab", "net-3", 3)],
    )
    assert all("samples_ms" not in one for page in pages for one in page)
    assert [one["device"] for one in api.get("/results", variant="net-1")["items"]] == ["a", "b"]
    assert [one["site"] for one in api.get("/results", site="hall")["items"]] == ["hall"]
    assert api.get("/results", since=1_800_000_000)["items"] == []


def test_a_page_of_results_goes_on_where_it_was_though_more_came_meanwhile(
    api: ApiServer, database: Database
) -> None:
    fill(database, "a", make_run("net-1"), make_run("net-2"))
    first = api.get("/results", limit=1)
    fill(database, "b", make_run("net-3"))
    rest = api.get("/results", after=first["next"])
    assert [one["variant"] for one in rest["items"]] == ["net-2", "net-3"]


def test_results_of_a_device_are_those_of_its_own_counting(
    api: ApiServer, database: Database
) -> None:
    fill(database, "a", make_run("net-1", fingerprint="old"), make_run("net-2"))
    fill(database, "b", make_run("net-9"))
    pages = api.pages("/devices/lab/a/results", limit=1)
    told = [(one["variant"], one["current"]) for page in pages for one in page]
    assert told == [("net-1", False), ("net-2", True)]


def test_runs_of_a_device_without_inventory_are_current_by_its_newest_run(
    api: ApiServer, database: Database
) -> None:
    results = [
        deliver("lab", "bare", Leaf.RESULT, encode_message(make_result(seq, run, device="bare")))
        for seq, run in enumerate([make_run("old", set_id="0"), make_run("new")], start=1)
    ]
    Intake(database).take(results, now=1.0)
    told = api.get("/devices/lab/bare/results")["items"]
    assert [(one["variant"], one["current"]) for one in told] == [("old", False), ("new", True)]


def test_recommendations_are_the_documents_of_the_command(
    api: ApiServer, database: Database, store_url: str
) -> None:
    for device in ("a", "b", "c"):
        fill(database, device, make_run("net-base"))
    pages = api.pages("/recommendations", limit=2)
    assert [len(page) for page in pages] == [2, 1]
    done = run_command("fleet", "recommendations", "--json", "--db", store_url)
    assert [one for page in pages for one in page] == json.loads(done.stdout)


def test_a_decision_is_explained(api: ApiServer, database: Database) -> None:
    fill(database, "a", make_run("net-base"), make_run("net-fast", p50_ms=2.0))
    document = api.get("/devices/lab/a/explain", policy="fastest")
    assert document["recommendation"]["variant"] == "net-fast"
    assert {one["variant"] for one in document["candidates"]} == {"net-base", "net-fast"}


def test_quarantine_is_listed_from_its_highest_number(api: ApiServer, database: Database) -> None:
    for device in ("a", "b", "c"):
        refuse_one(database, device=device)
    pages = api.pages("/quarantine", limit=2)
    assert [[one["topic"].split("/")[3] for one in page] for page in pages] == [["c", "b"], ["a"]]
