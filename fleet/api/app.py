"""The application: routes, access, problems, and what OpenAPI is told of them."""

from __future__ import annotations

import logging
import time

from fastapi import Depends, FastAPI, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgewright.http_host import called_name, wrong_name
from fleet.api.documents import describe
from fleet.api.metrics import StoreFigures
from fleet.api.parameters import PREFIX, expect_known_parameters
from fleet.api.problem import answer_problem, tell_problems
from fleet.api.routes import (
    devices,
    events,
    operating,
    policies,
    quarantine,
    recommendations,
    status,
)
from fleet.api.service import Service
from fleet.api.status import version

_log = logging.getLogger(__name__)

_known_parameters = Depends(expect_known_parameters)
_ABOUT = (
    "What devices measured, what each should run and why. Documents are those of "
    "`edgewright-fleet ... --json`; figures have their unit in the name, times are seconds since "
    "1970 by the fleet's clock."
)


def make_app(service: Service) -> FastAPI:
    """The application for one store."""
    app = FastAPI(
        title="Edgewright fleet",
        version=version(),
        description=_ABOUT,
        openapi_url=f"{PREFIX}/openapi.json",
        # Their pages take scripts from the internet; a closed network has none.
        docs_url=None,
        redoc_url=None,
        # Nothing may leave because a variable of the environment says so.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    app.state.figures = StoreFigures(
        service.database,
        service.listeners,
        stale_after_s=service.stale_after_s,
        clock=service.clock,
    )
    for one in (
        devices, recommendations, policies, quarantine, events, operating, status,
    ):  # fmt: skip
        app.include_router(one.router, prefix=PREFIX, dependencies=[_known_parameters])
    app.include_router(status.metrics_router, dependencies=[_known_parameters])
    tell_problems(app)
    app.add_middleware(_Door, names=service.host_names)
    app.openapi = describe(app)  # type: ignore[method-assign] # FastAPI's own way to extend it
    return app


class _Door:
    """Looks at the name by which we are called, and logs each request."""

    def __init__(self, app: ASGIApp, names: frozenset[str] | None) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        problem = self._problem(scope)
        await (self._app if problem is None else problem)(scope, receive, note)
        _log.debug(
            "answered method=%s path=%a status=%d duration_ms=%.1f",
            scope["method"],
            scope["path"][:200],
            status,
            (time.perf_counter() - began) * 1000,
        )

    def _problem(self, scope: Scope) -> Response | None:
        """Why a request is not even looked at."""
        if self._names is None:
            return None
        host = next((value for key, value in scope["headers"] if key == b"host"), b"")
        called = called_name(host.decode("latin-1"))
        return (
            None if called in self._names else answer_problem(421, wrong_name(called, self._names))
        )
