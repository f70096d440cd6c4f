"""What went wrong, as a problem document (RFC 9457)."""

from __future__ import annotations

import http
from collections.abc import Mapping, Sequence

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from contract.errors import GroupError, TopicError
from edgewright.rate_limit import rate_limited_logger
from fleet.errors import (
    BrokerAwayError,
    FleetError,
    PolicyError,
    ReplayError,
    RowRefusedError,
    StoreError,
    StoreUnavailableError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
    UnknownPolicyError,
)

_log = rate_limited_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER_S = 2
#: The first that an error is an instance of.
_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (UnknownDeviceError, 404),
    (UnknownMessageError, 404),
    (UnknownDecisionError, 404),
    (UnknownPolicyError, 404),
    (PolicyError, 422),
    (GroupError, 422),
    (TopicError, 422),
    (RowRefusedError, 422),
    (ReplayError, 500),
    (StoreUnavailableError, 503),
    (StoreError, 503),
    (BrokerAwayError, 502),
    (FleetError, 500),
)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a request: where, and what was expected.

    `line` and `column` are of a text in the body, counted from 1.
    """

    place: str
    message: str
    line: int | None = None
    column: int | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer; `title` is the status in words, `detail` says more."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class ProblemError(Exception):
    """Ends a request with a problem that is no error of the fleet's."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


def answer_problem(
    status: int,
    detail: str,
    *,
    errors: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells a problem."""
    title = http.HTTPStatus(status).phrase
    problem = Problem(title=title, status=status, detail=detail, errors=list(errors))
    given = dict(headers or {})
    if status == http.HTTPStatus.SERVICE_UNAVAILABLE:
        given.setdefault("Retry-After", str(_RETRY_AFTER_S))
    return Response(
        msgspec.json.encode(problem), status_code=status, headers=given, media_type=MEDIA_TYPE
    )


def tell_problems(app: FastAPI) -> None:
    """Have every error of an application told as a problem document."""
    app.add_exception_handler(FleetError, _fleet_problem)
    app.add_exception_handler(GroupError, _fleet_problem)
    app.add_exception_handler(TopicError, _fleet_problem)
    app.add_exception_handler(ProblemError, _own_problem)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _bug)


def _fleet_problem(request: Request, error: Exception) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error(
            "request failed method=%s path=%a reason=%s", request.method, _path(request), error
        )
    return answer_problem(status, str(error))


def _own_problem(_request: Request, error: Exception) -> Response:
    if not isinstance(error, ProblemError):
        raise error
    return answer_problem(error.status, error.detail, errors=error.errors, headers=error.headers)


def _wrong_request(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = [
        Fault(place=".".join(map(str, one["loc"])), message=str(one["msg"]))
        for one in error.errors()
    ]
    detail = "; ".join(f"{fault.place}: {fault.message}" for fault in faults)
    return answer_problem(422, detail, errors=faults)


def _http_problem(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = str(error.detail)
    if error.status_code == http.HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at {_path(request)}; /api/v1/openapi.json lists what is"
    return answer_problem(error.status_code, detail, headers=error.headers)


def _bug(request: Request, _error: Exception) -> Response:
    # What it is goes to the log, with its traceback; strangers are not told.
    return answer_problem(500, f"a fault of ours; the log of the API has it: {_path(request)}")


def _path(request: Request) -> str:
    return request.url.path[:200]
