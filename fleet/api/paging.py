"""A page at a time: opaque cursors that keep their place whatever is added meanwhile."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlencode

import msgspec
from fastapi import Depends, Query, Request, Response

from fleet.api.problem import ProblemError

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

_Item = TypeVar("_Item")
_Place = TypeVar("_Place")


class Page(msgspec.Struct, Generic[_Item], frozen=True, kw_only=True):
    """Some of many; `next` is the `after` of the page behind it, None on the last one."""

    items: list[_Item]
    next: str | None


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which page was asked for."""

    limit: int
    after: str | None


def _paging(
    limit: Annotated[
        int, Query(ge=1, le=MAX_LIMIT, description="At most so many items.")
    ] = DEFAULT_LIMIT,
    after: Annotated[
        str | None,
        Query(max_length=1000, description="`next` of the page before; the first without it."),
    ] = None,
) -> Paging:
    return Paging(limit=limit, after=after)


#: What routes with pages take.
Asked = Annotated[Paging, Depends(_paging)]


def read_cursor(kind: str, cursor: str | None, place: type[_Place]) -> _Place | None:
    """The place that a cursor of a listing stands for; None without one.

    Raises:
        ProblemError: 422, not a cursor of this listing.
    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4))
        named, found = msgspec.json.decode(raw, type=tuple[str, msgspec.Raw])
        if named == kind:
            return msgspec.json.decode(found, type=place)
    except (binascii.Error, msgspec.MsgspecError, ValueError):
        pass
    message = f"query.after: expected `next` of a page of {kind}, as it came"
    raise ProblemError(422, message)


def write_cursor(kind: str, place: object) -> str:
    """The cursor for a place in a listing."""
    return base64.urlsafe_b64encode(msgspec.json.encode((kind, place))).decode().rstrip("=")


def answer_page(request: Request, items: list[Any], following: str | None) -> Response:
    """A page as a document, with `Link: rel=next` (RFC 8288)."""
    headers = {}
    if following is not None:
        query = [
            (key, value) for key, value in request.query_params.multi_items() if key != "after"
        ]
        link = f"{request.url.path}?{urlencode([*query, ('after', following)])}"
        headers["Link"] = f'<{link}>; rel="next"'
    return Response(
        msgspec.json.encode(Page(items=items, next=following)),
        headers=headers,
        media_type="application/json",
    )
