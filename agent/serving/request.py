"""The head of an HTTP/1.1 request, read strictly: what is unclear is refused, not guessed at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, unquote, urlsplit

from agent.serving.response import HttpError

#: RFC 9110, section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VERSION = re.compile(r"HTTP/(\d)\.(\d)")
_DIGITS = re.compile(r"[0-9]{1,18}")
#: Two of these could be read in two ways, and a proxy in front may take the other one.
_SINGLE = frozenset({"content-length", "transfer-encoding", "host", "content-type"})
_WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "DELETE", "TRACE"})


@dataclass(frozen=True, kw_only=True)
class Head:
    """A request without its body."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    #: By names in lower case.
    headers: Mapping[str, str]
    keeps_alive: bool
    #: By which the client calls us, with its port; empty where HTTP/1.0 says none.
    host: str

    @property
    def content_length(self) -> int | None:
        """Length of the body; None where it is not said."""
        text = self.headers.get("content-length")
        return None if text is None else int(text)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in another way than by its length."""
        return "transfer-encoding" in self.headers

    @property
    def may_have_body(self) -> bool:
        """Whether bytes follow that are no further request.

        Without a length none should, but a client that forgets the one may send the other.
        """
        if self.content_length is None:
            return self.is_chunked or self.method not in _WITHOUT_BODY
        return self.content_length > 0

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for leave to send the body."""
        return self.headers.get("expect", "").lower() == "100-continue"

    @property
    def content_type(self) -> str:
        """Media type in lower case without parameters; empty where it is not said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_head(content: bytes) -> Head:
    r"""Head of a request, given up to and with its empty line.

    Raises:
        HttpError: 400 for what is malformed or ambiguous, 505 for another version.
    """
    first, *lines = content.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not _TOKEN.fullmatch(words[0]):  # noqa: PLR2004 - method, target, version
        message = f"request line: expected 'METHOD /path HTTP/1.1', got {first[:80]!r}"
        raise _bad(message)
    method, target, version = words
    numbers = _VERSION.fullmatch(version)
    if numbers is None:
        message = f"request line: expected HTTP/1.1, got {version[:20]!r}"
        raise _bad(message)
    if numbers[1] != "1":
        raise HttpError(
            HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "unsupported-version", "expected HTTP/1.1"
        )
    headers = _headers(lines)
    is_newest = numbers[2] != "0"
    if is_newest and "host" not in headers:
        message = "header Host: missing, as HTTP/1.1 asks for it"
        raise _bad(message)
    try:
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True, max_num_fields=20)
    except ValueError as error:
        message = f"request target: {error}"
        raise _bad(message) from error
    # A target with a host is the one that counts (RFC 9112, section 3.2.2).
    host = url.netloc or headers.get("host", "")
    wishes = {w.strip().lower() for w in headers.get("connection", "").split(",")}
    return Head(
        method=method,
        path=unquote(url.path),
        query=query,
        headers=headers,
        host=host,
        keeps_alive="close" not in wishes and (is_newest or "keep-alive" in wishes),
    )


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        key, value = name.lower(), value.strip(" \t")
        if not colon or not _TOKEN.fullmatch(name) or "\r" in value or "\n" in value:
            message = f"header line: expected 'Name: value', got {line[:80]!r}"
            raise _bad(message)
        if key in headers and key in _SINGLE:
            message = f"header {name}: expected once"
            raise _bad(message)
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    length = headers.get("content-length")
    if length is not None and not _DIGITS.fullmatch(length):
        message = f"header Content-Length: expected a number, got {length[:40]!r}"
        raise _bad(message)
    if length is not None and "transfer-encoding" in headers:
        message = "headers Content-Length and Transfer-Encoding: expected one of them"
        raise _bad(message)
    return headers


def _bad(message: str) -> HttpError:
    return HttpError(HTTPStatus.BAD_REQUEST, "bad-request", message)
