"""What answers look like, and how OpenAPI is told: the same types as behind `--json`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
from fastapi import FastAPI, Response

from contract.benchmark import BenchRun
from contract.messages import Desired
from fleet.api.events import Missed, PresenceChanged, ResultStored
from fleet.api.paging import Page
from fleet.api.problem import MEDIA_TYPE, Problem
from fleet.api.shelf import PolicyText
from fleet.api.status import Health
from fleet.collecting.replay import Replayed
from fleet.reports.report import (
    DeviceReport,
    ExplanationReport,
    RecommendationReport,
    ResultReport,
)
from fleet.reports.whatif import WhatIfReport
from fleet.store.lately import DecisionMade
from fleet.store.quarantine import Quarantined
from fleet.store.rollout import Rollout

_REF = "#/components/schemas/{name}"
JSON = "application/json"
#: Every type that a route answers with.
_DOCUMENTS: tuple[Any, ...] = (
    BenchRun,
    DecisionMade,
    Desired,
    DeviceReport,
    ExplanationReport,
    Health,
    Missed,
    Page[DeviceReport],
    Page[Quarantined],
    Page[RecommendationReport],
    PolicyText,
    PresenceChanged,
    Problem,
    Replayed,
    ResultReport,
    ResultStored,
    Rollout,
    WhatIfReport,
    list[PolicyText],
)
#: A run's own fields stand beside where and when it was stored.
_RESULT = {
    "Result": {
        "title": "Result",
        "description": "Where and when a run was stored, and the run without its raw samples.",
        "allOf": [
            {"$ref": "#/components/schemas/ResultReport"},
            {"$ref": "#/components/schemas/BenchRun"},
        ],
    },
    "Page_Result_": {
        "title": "Page[Result]",
        "type": "object",
        "properties": {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}},
            "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["items", "next"],
    },
}
PAGE_OF_RESULTS = {"$ref": "#/components/schemas/Page_Result_"}

Responses = dict[int | str, dict[str, Any]]


def answer(document: object, *, status: int = 200) -> Response:
    """A document as JSON."""
    return Response(msgspec.json.encode(document), status_code=status, media_type=JSON)


def schema_of(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - msgspec takes any type
    """How OpenAPI refers to a type."""
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema


def responses(
    schema: dict[str, Any], description: str, *statuses: int, media_type: str = JSON
) -> Responses:
    """What OpenAPI is told of a route: its answer, and the problems that it may have.

    401, 422 and 503 may come of every route.
    """
    told: Responses = {
        200: {"description": description, "content": {media_type: {"schema": schema}}}
    }
    for status in sorted({401, 422, 503, *statuses}):
        told[status] = {
            "description": _PROBLEMS[status],
            "content": {MEDIA_TYPE: {"schema": schema_of(Problem)}},
        }
    return told


def describe(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI of an application, with the schemas of all documents in it."""
    plain = app.openapi

    # Requests are held against it, and making it takes 7 ms.
    @functools.cache
    def openapi() -> dict[str, Any]:
        document = plain()
        _, components = msgspec.json.schema_components(_DOCUMENTS, ref_template=_REF)
        document.setdefault("components", {})["schemas"] = {**components, **_RESULT}
        return document

    return openapi


_PROBLEMS = {
    401: "No token where one is needed, or one that does not hold.",
    403: "The token is of another role.",
    404: "There is no such thing; the nearest names are told.",
    409: "The device itself says otherwise.",
    413: "The body is too large.",
    422: "Something is wrong with the request; `errors` has the places.",
    429: "Too many do this already.",
    502: "The broker cannot be reached; what was stored stays stored.",
    503: "The store is out of order; come again after `Retry-After` seconds.",
}
