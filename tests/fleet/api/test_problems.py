"""What is said when there is no answer."""

from __future__ import annotations

import codecs
import contextlib
import time
from pathlib import Path

import httpx

from fleet.api.shelf import PolicyShelf
from fleet.store.database import Database
from fleet.store.tokens import Role, create_token, list_tokens, revoke_token
from support.api import ApiServer
from support.filling import fill
from support.measurements import make_run


def problem(answer: httpx.Response, status: int) -> str:
    """Detail of a problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    return str(told["detail"])


def test_an_unknown_device_gets_the_nearest_names(api: ApiServer, database: Database) -> None:
    fill(database, "gate-north")
    said = problem(api.client.get("/api/v1/devices/lab/gate-nroth"), 404)
    assert "did you mean lab/gate-north" in said


def test_an_unknown_policy_gets_the_nearest_name_and_no_file_is_read(api: ApiServer) -> None:
    answer = api.client.get("/api/v1/recommendations", params={"policy": "fastets"})
    assert "did you mean 'fastest'" in problem(answer, 404)
    for name in ("/etc/passwd", "../pyproject.toml", "fleet/choosing/policies/fastest.toml"):
        problem(api.client.get("/api/v1/recommendations", params={"policy": name}), 404)


def test_a_wrong_request_is_told_its_place(api: ApiServer) -> None:
    for path, place in (
        ("/devices?limit=0", "query.limit"),
        ("/devices?limit=1001", "query.limit"),
        ("/devices?presence=perhaps", "query.presence"),
        ("/results?since=inf", "query.since"),
        ("/results?since=nan", "query.since"),
        ("/devices/Lab/box", "path.site"),
        ("/events?kind=weather", "query.kind.0"),
    ):
        answer = api.client.get(f"/api/v1{path}")
        assert place in problem(answer, 422)
        assert [one["place"] for one in answer.json()["errors"]] == [place]


def test_a_parameter_that_would_be_passed_over_is_refused(api: ApiServer) -> None:
    """A misspelt filter that is ignored answers with the whole fleet."""
    for path, said in (
        ("/devices?sit=lab", "query.sit: unknown parameter; did you mean 'site'?"),
        ("/devices?site=lab&site=dock", "query.site: expected once, got 2 times"),
        ("/recommendations?sites=lab", "query.sites: unknown parameter; did you mean 'site'?"),
        ("/health?verbose=1", "query.verbose: unknown parameter; expected none here"),
        ("/quarantine?x=1", "query.x: unknown parameter; expected one of limit, after"),
    ):
        assert problem(api.client.get(f"/api/v1{path}"), 422) == said
    said = "query.x: unknown parameter; expected none here"
    assert problem(api.client.get("/metrics?x=1"), 422) == said
    many = api.client.get("/api/v1/devices?" + "&".join(f"x{number}=1" for number in range(900)))
    assert problem(many, 422).count("unknown parameter") == 10
    with api.client.stream("GET", "/api/v1/events?kind=result&kind=presence") as answer:
        assert answer.status_code == 200


def test_a_cursor_that_is_none_of_ours_is_refused(api: ApiServer) -> None:
    for cursor in ("x", "WyJyZXN1bHRzIiwiYSJd", "WyJkZXZpY2VzIl0", "é", "AAAA", ""):
        answer = api.client.get("/api/v1/results", params={"after": cursor})
        assert "query.after" in problem(answer, 422), cursor
    answer = api.client.get("/api/v1/events", headers={"Last-Event-ID": "r1.q2"})
    assert "last-event-id" in problem(answer, 422)


def test_a_cursor_of_another_listing_is_refused(api: ApiServer, database: Database) -> None:
    for device in ("a", "b"):
        fill(database, device, make_run())
    cursor = api.get("/devices", limit=1)["next"]
    problem(api.client.get("/api/v1/recommendations", params={"after": cursor}), 422)


def test_every_mistake_in_a_policy_is_told_its_place(api: ApiServer) -> None:
    toml = """\
name = "p"
objectives = ["max speed"]
[groups.pi]
constraints = ["p95_ms 3"]
"""
    answer = api.client.post("/api/v1/policies/check", content=toml)
    problem(answer, 422)
    told = [(one["place"], one["line"], one["column"]) for one in answer.json()["errors"]]
    assert told == [("body.objectives[0]", 2, 20), ("body.groups.pi.constraints[0]", 4, 16)]
    answer = api.client.post("/api/v1/policies/check", content="name")
    problem(answer, 422)
    assert [(one["place"], one["line"]) for one in answer.json()["errors"]] == [("body", 1)]


def test_a_body_that_is_too_large_is_refused(api: ApiServer) -> None:
    problem(api.client.post("/api/v1/policies/check", content=b"#" * 100_000), 413)
    problem(api.client.post("/api/v1/policies/check", content=b"\xff"), 422)


def test_what_is_not_there_and_what_is_not_done_are_problems(api: ApiServer) -> None:
    assert "openapi.json" in problem(api.client.get("/api/v1/nothing"), 404)
    problem(api.client.delete("/api/v1/devices"), 405)


def test_a_page_of_another_site_cannot_read_what_is_open_here(api: ApiServer) -> None:
    """Its own name may point at 127.0.0.1; the name that the browser calls is still its own."""
    headers = {"Host": "evil.example"}
    problem(api.client.get("/api/v1/devices", headers=headers), 421)


def test_a_token_that_does_not_hold_is_refused_even_to_read(api: ApiServer) -> None:
    for shown in (b"Bearer wrong", b"Bearer", b"Basic YTpi", b"Bearer \xe9"):
        answer = api.client.get("/api/v1/devices", headers={"Authorization": shown})
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_is_void_once_it_is_revoked_or_its_days_are_over(
    api: ApiServer, database: Database
) -> None:
    def shown(token: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return api.client.get("/api/v1/devices", headers=headers).status_code

    now = time.time()
    with database.writing() as connection:
        late = create_token(connection, "late", Role.READ, days=1, now=now - 90_000)
        good = create_token(connection, "good", Role.READ, days=1, now=now)
    assert (shown(late), shown(good)) == (401, 200)
    with database.writing() as connection:
        revoke_token(connection, "good")
    assert shown(good) == 401


def test_a_token_keeps_the_day_of_its_last_use_and_nothing_of_itself(
    api: ApiServer, database: Database
) -> None:
    headers = api.token(Role.READ)
    assert api.client.get("/api/v1/devices", headers=headers).status_code == 200
    with database.reading() as connection:
        (token,) = list_tokens(connection)
        rows = connection.exec_driver_sql("SELECT * FROM tokens").all()
    assert token.last_used_on is not None
    secret = headers["Authorization"].removeprefix("Bearer ")
    assert all(secret not in str(value) for row in rows for value in row)


def test_a_byte_order_mark_is_no_part_of_a_policy(database: Database, tmp_path: Path) -> None:
    content = codecs.BOM_UTF8 + b'name = "ours"\nobjectives = ["max top1"]\n'
    (tmp_path / "ours.toml").write_bytes(content)
    server = ApiServer(database, shelf=PolicyShelf(tmp_path))
    with contextlib.closing(server):
        assert server.get("/recommendations", policy="ours")["items"] == []
        assert server.get("/policies/ours")["toml"].startswith("name")
        done = server.client.post("/api/v1/policies/check", content=content)
        assert (done.status_code, done.json()["policy"]) == (200, "ours")
