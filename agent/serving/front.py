"""The front: what each path answers."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import msgspec

from agent.logs import fields
from agent.protocol import Fault, Ranked, Refused
from agent.serving.metrics import CONTENT_TYPE, Metrics
from agent.serving.multipart import only_file
from agent.serving.patience import Limits
from agent.serving.request import Head
from agent.serving.response import HttpError, Response, ok
from agent.serving.service import BusyError, LostError, Service, UnreadyError
from agent.serving.warm import HungError
from edgewright.http_host import called_name, wrong_name
from edgewright.rate_limit import rate_limited_logger

_log = rate_limited_logger(__name__)

PREDICT = "/v1/predict"
HEALTH = "/v1/health"
METRICS = "/metrics"
_OTHER = "other"

_METHODS = {PREDICT: ("POST",), HEALTH: ("GET", "HEAD"), METRICS: ("GET", "HEAD")}
_FORM = "multipart/form-data"
_BINARY = "application/octet-stream"
_RETRY = {"Retry-After": "1"}
_STATUS_OF_FAULT = {
    Fault.NOT_AN_IMAGE: HTTPStatus.UNPROCESSABLE_ENTITY,
    Fault.DAMAGED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Fault.TOO_MANY_PIXELS: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Fault.TOO_MUCH_MEMORY: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}

ReadBody = Callable[[], Awaitable[bytes]]


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `POST /v1/predict`; milliseconds."""

    variant: str
    top: list[Ranked]
    decode_ms: float
    preprocess_ms: float
    inference_ms: float
    postprocess_ms: float
    #: From the whole request to the answer, waiting for the worker included.
    total_ms: float


class HealthReport(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to `GET /v1/health`."""

    variant: str | None
    ready: bool
    #: Unix time from which this variant has been served; null while it is not.
    since: float | None
    version: str
    #: What went wrong with what should be served; null where all is well.
    problem: str | None
    #: Why the last worker that died was replaced; null where none died.
    replaced: str | None


class Front:
    """Answers requests.

    Args:
        service: what predicts.
        metrics: told of every answer.
        limits: on bodies and `top`.
        top: classes of an answer where the request does not say.
        version: of Edgewright.
        names: by which clients may call us; None for any.
    """

    def __init__(
        self,
        service: Service,
        metrics: Metrics,
        limits: Limits,
        *,
        top: int,
        version: str,
        names: frozenset[str] | None,
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._limits = limits
        self._top = top
        self._version = version
        self._names = names

    async def respond(self, head: Head, read_body: ReadBody) -> Response:
        """Answer to a request, whatever it is.

        Args:
            head: the request without its body.
            read_body: reads the body, where one is wanted; its errors are answers too.
        """
        self._metrics.in_flight += 1
        try:
            response = await self._answer(head, read_body)
        except HttpError as error:
            response = error.response
        except Exception:  # noqa: BLE001 - it is logged, and answered with 500
            # One request that we cannot cope with must not take the others' connection along.
            _log.exception("request_failed", extra=fields(path=head.path))
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            response = HttpError(
                status, "internal", "this server has an error; see its log"
            ).response
        finally:
            self._metrics.in_flight -= 1
        self.count(head.path, response.status)
        return response

    def count(self, path: str, status: HTTPStatus) -> None:
        """Count an answer."""
        self._metrics.answered(path if path in _METHODS else _OTHER, status.value)

    async def _answer(self, head: Head, read_body: ReadBody) -> Response:
        called = called_name(head.host)
        if self._names is not None and called not in self._names:
            message = wrong_name(called, self._names)
            raise HttpError(HTTPStatus.MISDIRECTED_REQUEST, "wrong-host", message)
        methods = _METHODS.get(head.path)
        if methods is None:
            message = f"expected one of POST {PREDICT}, GET {HEALTH}, GET {METRICS}"
            raise HttpError(HTTPStatus.NOT_FOUND, "not-found", message)
        if head.method not in methods:
            message = f"{head.path} takes {' and '.join(methods)}"
            headers = {"Allow": ", ".join(methods)}
            raise HttpError(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", message, headers)
        match head.path:
            case "/v1/predict":
                return await self._predict(head, read_body)
            case "/v1/health":
                return self._health()
            case _:
                return self._rendered_metrics()

    async def _predict(self, head: Head, read_body: ReadBody) -> Response:
        top_k = self._top_k(head)
        self._check_body(head)
        body = await read_body()
        began = time.perf_counter()
        if head.content_type == _FORM:
            body = only_file(body, head.headers["content-type"])
        try:
            choice, answer = await self._service.answer(body, top_k)
        except BusyError as error:
            message = "busy"
            raise _unavailable(message, error) from error
        except UnreadyError as error:
            message = "not-ready"
            raise _unavailable(message, error) from error
        except LostError as error:
            raise HttpError(HTTPStatus.BAD_GATEWAY, "worker-died", str(error)) from error
        except HungError as error:
            raise HttpError(HTTPStatus.GATEWAY_TIMEOUT, "no-answer", str(error)) from error
        if isinstance(answer, Refused):
            raise HttpError(_STATUS_OF_FAULT[answer.fault], answer.fault.value, answer.reason)
        seconds = time.perf_counter() - began
        self._metrics.observe(seconds)
        return ok(
            Prediction(
                variant=choice.variant,
                top=answer.top,
                decode_ms=answer.decode_ms,
                preprocess_ms=answer.preprocess_ms,
                inference_ms=answer.inference_ms,
                postprocess_ms=answer.postprocess_ms,
                total_ms=seconds * 1e3,
            )
        )

    def _health(self) -> Response:
        health = self._service.health
        report = HealthReport(
            variant=health.choice.variant if health.choice else None,
            ready=health.ready,
            since=health.since,
            version=self._version,
            problem=health.problem,
            replaced=health.replaced,
        )
        return ok(report, HTTPStatus.OK if health.ready else HTTPStatus.SERVICE_UNAVAILABLE)

    def _rendered_metrics(self) -> Response:
        health = self._service.health
        text = self._metrics.render(
            choice=health.choice,
            ready=health.ready,
            rss_bytes=self._service.worker_rss_bytes,
            limit_bytes=self._service.memory_limit_bytes,
        )
        return Response(status=HTTPStatus.OK, body=text.encode(), content_type=CONTENT_TYPE)

    def _top_k(self, head: Head) -> int:
        values = head.query.get("top")
        if values is None:
            return self._top
        text = values[-1]
        # isdecimal alone would let other scripts' digits through, and int() takes them.
        if text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= self._limits.top:
            return int(text)
        message = f"query top: expected 1 to {self._limits.top}, got {text[:40]!r}"
        raise HttpError(HTTPStatus.BAD_REQUEST, "bad-query", message)

    def _check_body(self, head: Head) -> None:
        """Refuse a body by what is said of it, before a byte of it is read."""
        kind = head.content_type
        if kind not in {_FORM, _BINARY, ""} and not kind.startswith("image/"):
            message = (
                f"header Content-Type: expected image/*, {_BINARY} or {_FORM}, got {kind[:60]!r}; "
                "with curl: -H 'Content-Type: image/jpeg' --data-binary @photo.jpg"
            )
            raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", message)
        length = head.content_length
        if length is None:
            message = "header Content-Length: missing; a chunked body is not taken"
            raise HttpError(HTTPStatus.LENGTH_REQUIRED, "length-required", message)
        if length > self._limits.body_bytes:
            message = (
                f"body of {length:,} bytes: expected at most {self._limits.body_bytes:,}; "
                "scale the image down first"
            )
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body-too-large", message)
        if length == 0:
            message = "the body is empty: expected an image"
            raise HttpError(HTTPStatus.BAD_REQUEST, "empty-body", message)


def _unavailable(error: str, cause: Exception) -> HttpError:
    return HttpError(HTTPStatus.SERVICE_UNAVAILABLE, error, str(cause), _RETRY)
