"""What OpenAPI says of the API, and whether the API keeps to it."""

from __future__ import annotations

from typing import Any

import jsonschema
import openapi_spec_validator
import pytest

from fleet.choosing.policy import load_policy
from fleet.store.database import Database
from fleet.store.recommendation import recommend
from fleet.store.roster import list_devices
from fleet.store.tokens import Role
from support.api import ApiServer
from support.filling import fill, refuse_one
from support.measurements import make_run

_PLACES = {"site": "lab", "device": "box", "name": "fastest", "number": "1", "group": "g"}
_POLICY = b'name = "p"\nobjectives = ["max top1"]\n'

Operation = tuple[str, str, dict[str, Any]]


@pytest.fixture
def filled(database: Database) -> None:
    fill(database, "box", make_run())
    refuse_one(database)
    with database.reading() as connection:
        chosen = [one.id for one in list_devices(connection)]
    recommend(database, load_policy("fastest"), chosen, now=3.0)


def operations(api: ApiServer) -> list[Operation]:
    """Method, path with a real device in it, and description of every route."""
    document = api.client.get("/api/v1/openapi.json").json()
    return [
        (method.upper(), path.format(**_PLACES), told)
        for path, item in document["paths"].items()
        for method, told in item.items()
    ]


def status_of(api: ApiServer, operation: Operation, headers: dict[str, str]) -> int:
    """Status of one request; what streams is left at its head."""
    method, path, _ = operation
    body = _POLICY if path.endswith("/check") else None
    with api.client.stream(method, path, headers=headers, content=body) as answer:
        return answer.status_code


def role_of(operation: Operation) -> str:
    return str(operation[2].get("x-role", "read"))


def test_the_description_is_valid_openapi(api: ApiServer) -> None:
    document = api.client.get("/api/v1/openapi.json").json()
    openapi_spec_validator.validate(document)
    assert len(operations(api)) == 18


@pytest.mark.usefixtures("filled")
def test_every_answer_is_what_its_schema_says(api: ApiServer) -> None:
    document = api.client.get("/api/v1/openapi.json").json()
    operate = api.token(Role.OPERATE)
    checked = 0
    for method, path, told in operations(api):
        schema = told["responses"]["200"]["content"].get("application/json", {}).get("schema")
        if schema is None:
            continue
        body = _POLICY if path.endswith("/check") else None
        query = {"dry_run": "true"} if path.endswith("/apply") else {}
        answer = api.client.request(method, path, headers=operate, content=body, params=query)
        assert answer.status_code == 200, answer.text
        jsonschema.Draft202012Validator(schema | {"components": document["components"]}).validate(
            answer.json()
        )
        checked += 1
    assert checked == 16


@pytest.mark.usefixtures("filled")
def test_where_tokens_are_needed_every_route_asks_for_one_of_its_role(database: Database) -> None:
    closed = ApiServer(database, is_closed=True)
    try:
        read, operate = closed.token(Role.READ), closed.token(Role.OPERATE)
        for operation in operations(closed):
            role = role_of(operation)
            statuses = [status_of(closed, operation, shown) for shown in ({}, read, operate)]
            refused = [status if status in {401, 403} else 0 for status in statuses]
            expected = {"none": [0, 0, 0], "read": [401, 0, 0], "operate": [401, 403, 0]}[role]
            assert refused == expected, operation[:2]
    finally:
        closed.close()


@pytest.mark.usefixtures("filled")
def test_on_loopback_reading_is_open_and_operating_is_not(api: ApiServer) -> None:
    for operation in operations(api):
        refused = status_of(api, operation, {}) == 401
        assert refused == (role_of(operation) == "operate"), operation[:2]


def test_a_problem_is_what_its_schema_says(api: ApiServer) -> None:
    document = api.client.get("/api/v1/openapi.json").json()
    answer = api.client.get("/api/v1/devices/lab/nobody")
    schema = {"$ref": "#/components/schemas/Problem", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())
