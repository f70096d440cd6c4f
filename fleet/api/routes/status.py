"""Health, and figures for Prometheus."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request, Response

from fleet.api.access import may_read
from fleet.api.documents import answer, responses, schema_of
from fleet.api.metrics import StoreFigures, exposition
from fleet.api.service import Given
from fleet.api.status import Health, version

router = APIRouter(tags=["status"])
metrics_router = APIRouter(tags=["status"], dependencies=[Depends(may_read)])


@router.get(
    "/health",
    responses=responses(schema_of(Health), "It works."),
    openapi_extra={"x-role": "none", "security": []},
)
def health(service: Given) -> Response:
    """Whether the API works and its store answers; needs no token, and tells no figures."""
    service.database.store_id()
    return answer(Health(version=version()))


@metrics_router.get(
    "/metrics",
    responses=responses(
        {"type": "string"}, "Prometheus' text, or OpenMetrics.", media_type="text/plain"
    ),
    response_class=Response,
)
def metrics(request: Request, accept: Annotated[str, Header()] = "") -> Response:
    """What the store knows, in figures. The collector's own are at 'serve --metrics'."""
    figures: StoreFigures = request.app.state.figures
    body, media_type = exposition(figures, accept)
    return Response(body, headers={"Content-Type": media_type})
