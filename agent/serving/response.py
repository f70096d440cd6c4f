"""An HTTP answer, and errors that are answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import msgspec

JSON = "application/json"


@dataclass(frozen=True, kw_only=True)
class Response:
    """Status, body and headers; the connection adds what concerns itself."""

    status: HTTPStatus
    body: bytes
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def rendered(self, *, with_body: bool, close: bool) -> bytes:
        """Bytes on the wire.

        Args:
            with_body: False for an answer to HEAD.
            close: whether the connection ends with it.
        """
        lines = [
            f"HTTP/1.1 {self.status.value} {self.status.phrase}",
            f"Date: {formatdate(usegmt=True)}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            "Cache-Control: no-store",
            # A browser must not take a class's label for a page.
            "X-Content-Type-Options: nosniff",
            *(f"{name}: {value}" for name, value in self.headers.items()),
            f"Connection: {'close' if close else 'keep-alive'}",
        ]
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("latin-1", "replace") + (self.body if with_body else b"")


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the body of every error."""

    error: str
    message: str


class HttpError(Exception):
    """A request that is answered with an error."""

    def __init__(
        self,
        status: HTTPStatus,
        error: str,
        message: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.headers = headers or {}

    @property
    def response(self) -> Response:
        """The answer."""
        body = ErrorBody(error=self.error, message=str(self))
        return Response(
            status=self.status, body=msgspec.json.encode(body) + b"\n", headers=self.headers
        )


def ok(content: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """JSON answer."""
    return Response(status=status, body=msgspec.json.encode(content) + b"\n")
