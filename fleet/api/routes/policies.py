"""Policies, and what one would change."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from contract.files import HANDWRITTEN
from fleet.api.access import may_read
from fleet.api.documents import answer, responses, schema_of
from fleet.api.paging import DEFAULT_LIMIT, MAX_LIMIT
from fleet.api.problem import Fault, ProblemError
from fleet.api.routes.devices import Chosen
from fleet.api.service import Given
from fleet.api.shelf import PolicyText
from fleet.choosing.decision import Status
from fleet.choosing.mistake import mistakes_text
from fleet.choosing.policy import Policy, policy_of
from fleet.choosing.policy_document import read_document
from fleet.reports.whatif import WhatIfReport, report_what_if
from fleet.store.roster import numbers_of_devices
from fleet.store.whatif import what_if

router = APIRouter(tags=["policies"], dependencies=[Depends(may_read)])

_MAX_BODY_BYTES = 64 * 1024
_TOML = "application/toml"


async def toml_in(request: Request) -> str:
    """The TOML that a request brings.

    Raises:
        ProblemError: 413, it is too large; 422, it is not UTF-8.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            raise ProblemError(413, f"body: expected at most {_MAX_BODY_BYTES} bytes")
    try:
        return body.decode(HANDWRITTEN)
    except UnicodeDecodeError as error:
        raise ProblemError(422, f"body: expected TOML in UTF-8: {error}") from error


@router.get("/policies", responses=responses(schema_of(list[PolicyText]), "By name."))
def list_policies(service: Given) -> Response:
    """The policies that requests may name."""
    return answer(service.shelf.texts())


@router.get("/policies/{name}", responses=responses(schema_of(PolicyText), "It.", 404))
def show_policy(service: Given, name: str) -> Response:
    """One policy."""
    return answer(service.shelf.text(name))


@router.post(
    "/policies/check",
    responses=responses(
        schema_of(WhatIfReport), "What it would change; `changes` has the first of these.", 413, 429
    ),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The policy.",
            "content": {_TOML: {"schema": {"type": "string"}}},
        }
    },
)
def check_policy(
    service: Given,
    which: Chosen,
    text: Annotated[str, Depends(toml_in)],
    limit: Annotated[
        int, Query(ge=0, le=MAX_LIMIT, description="At most so many `changes`.")
    ] = DEFAULT_LIMIT,
) -> Response:
    """Check a policy, and say what it would change; nothing is stored."""
    policy = _checked(text)
    if not service.checks.take():
        message = f"{service.checks.at_most} checks go through the fleet already; come again later"
        raise ProblemError(429, message, headers={"Retry-After": "10"})
    with service.checks.giving_back():
        with service.database.reading() as connection:
            chosen = numbers_of_devices(connection, which)
        changes = what_if(service.database, policy, chosen, now=service.clock(), told_at_most=limit)
    report = report_what_if(policy.name, changes)
    told = [one for one in changes if one.changes or one.status is not Status.CHOSEN]
    return answer(msgspec.structs.replace(report, changes=told[:limit]))


def _checked(text: str) -> Policy:
    document = read_document(text, source="body")
    if not document.mistakes:
        return policy_of(document)
    faults = [
        Fault(
            place=f"body.{one.where}" if one.where else "body",
            message=f"{one.problem}; {one.advice}",
            line=one.line,
            column=one.column,
        )
        for one in document.mistakes
    ]
    detail = mistakes_text("body", document.mistakes)
    raise ProblemError(422, detail, errors=faults)
