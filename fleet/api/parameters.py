"""Query parameters: none that a route does not have, and each once."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection
from typing import Any

from fastapi import Request

from fleet.api.problem import Fault, ProblemError

#: Where all routes are but /metrics.
PREFIX = "/api/v1"
_SHOWN = 200
#: Beyond these, whoever asks means something else.
_FAULTS_AT_MOST = 10


def expect_known_parameters(request: Request) -> None:
    """Refuse parameters that would be passed over: a misspelt filter lets everything through.

    Raises:
        ProblemError: the route has none of that name, or it came twice.
    """
    if not request.query_params:
        return
    is_list = _parameters(request)
    given = Counter(name for name, _ in request.query_params.multi_items())
    faults: list[Fault] = []
    for name, times in given.items():
        if name not in is_list:
            faults.append(Fault(place=_place(name), message=_unknown(name, is_list)))
        elif times > 1 and not is_list[name]:
            message = f"expected once, got {times} times"
            faults.append(Fault(place=_place(name), message=message))
        if len(faults) == _FAULTS_AT_MOST:
            break
    if faults:
        detail = "; ".join(f"{one.place}: {one.message}" for one in faults)
        raise ProblemError(422, detail, errors=faults)


def _place(name: str) -> str:
    return f"query.{name[:_SHOWN]}"


def _unknown(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1)
    expected = f"expected one of {', '.join(known)}" if known else "expected none here"
    return "unknown parameter; " + (f"did you mean '{near[0]}'?" if near else expected)


def _parameters(request: Request) -> dict[str, bool]:
    """A route's query parameters, as OpenAPI tells them, and whether each may come repeatedly."""
    paths, path = request.app.openapi()["paths"], request.scope["route"].path_format
    # /metrics alone stands beside the prefix.
    told_of = paths.get(f"{PREFIX}{path}") or paths[path]
    operation = told_of[request.method.lower()]
    told = [one for one in operation.get("parameters", []) if one["in"] == "query"]
    return {one["name"]: _is_list(one["schema"]) for one in told}


def _is_list(schema: dict[str, Any]) -> bool:
    return any(one.get("type") == "array" for one in (schema, *schema.get("anyOf", [])))
