"""Events, for as long as the client listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Header, Query, Response
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from edgewright.rate_limit import rate_limited_logger
from fleet.api.access import may_read
from fleet.api.documents import responses
from fleet.api.events import Kind, Listener, parse_position
from fleet.api.places import Places
from fleet.api.problem import ProblemError
from fleet.api.service import Given
from fleet.errors import FleetError

_log = rate_limited_logger(__name__)

router = APIRouter(tags=["events"], dependencies=[Depends(may_read)])

_MEDIA_TYPE = "text/event-stream"
_LOOK_EVERY_S = 0.5
#: Proxies close a connection over which nothing goes; many wait half a minute.
_HEARTBEAT_S = 10.0
_RETRY = b"retry: 2000\n\n"


class _Stream(StreamingResponse):
    """A stream that gives its place back, also where the client was gone before it began."""

    def __init__(self, content: AsyncIterator[bytes], listeners: Places) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(content, headers=headers, media_type=_MEDIA_TYPE)
        self._listeners = listeners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._listeners.giving_back():
            await super().__call__(scope, receive, send)


@router.get(
    "/events",
    responses=responses(
        {"type": "string"},
        "Server-sent events. `data` is one JSON document: of `result` a ResultStored, of "
        "`quarantined` a Quarantined, of `recommendation` a DecisionMade, of `presence` a "
        "PresenceChanged, of `desired` a Desired, of `missed` a Missed.",
        429,
        media_type=_MEDIA_TYPE,
    ),
    response_class=Response,
)
def listen(
    service: Given,
    kind: Annotated[list[Kind] | None, Query(description="Only these; all without it.")] = None,
    last_event_id: Annotated[
        str | None, Header(description="Go on behind this event; from now on without it.")
    ] = None,
) -> Response:
    """What happens, from now on or from behind the event that was heard last."""
    position = None if last_event_id is None else parse_position(last_event_id)
    if last_event_id is not None and position is None:
        raise ProblemError(422, "header.last-event-id: expected the id of an event, as it came")
    if not service.listeners.take():
        message = f"{service.listeners.at_most} listen already; come again later"
        raise ProblemError(429, message, headers={"Retry-After": "10"})
    try:
        listener = Listener(service.database, service.watches, kind or list(Kind), position)
    except BaseException:
        with service.listeners.giving_back():
            raise
    return _Stream(_told(listener, service.is_stopping), service.listeners)


async def _told(listener: Listener, is_stopping: Callable[[], bool]) -> AsyncIterator[bytes]:
    # The id at once, so that a client that hears no event for hours resumes at its begin.
    yield _RETRY + b"id: %s\nevent: hello\ndata: {}\n\n" % str(listener.position).encode()
    said_at = time.monotonic()
    while not is_stopping():
        try:
            text, count = await run_sync(listener.heard)
        except FleetError as error:
            _log.warning("events wait for the store reason=%s", error)
            text, count = b": the store is out of order\n\n", 0
        if not text and time.monotonic() - said_at > _HEARTBEAT_S:
            text = b": nothing new\n\n"
        if text:
            yield text
            said_at = time.monotonic()
        if not count:
            await asyncio.sleep(_LOOK_EVERY_S)
