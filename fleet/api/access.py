"""Who may do what: tokens with roles, shown as `Authorization: Bearer TOKEN` (RFC 6750)."""

from __future__ import annotations

import contextlib
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from fleet.api.problem import ProblemError
from fleet.api.service import Given, Service
from fleet.errors import FleetError
from fleet.store.tokens import Role, Token, day_of, note_use, token_shown

_BEARER = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token of 'edgewright-fleet token create', with the role read or operate.",
)
_SHOW_ONE = {"WWW-Authenticate": 'Bearer realm="edgewright"'}
_BAD_ONE = {"WWW-Authenticate": 'Bearer realm="edgewright", error="invalid_token"'}
_TOO_LITTLE = {
    "WWW-Authenticate": 'Bearer realm="edgewright", error="insufficient_scope", scope="operate"'
}

Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]


def may_read(request: Request, service: Given, shown: Shown) -> None:
    """Let in who may read: on loopback everybody, unless the API is closed.

    Raises:
        ProblemError: 401, no token where one is needed, or one that does not hold.
    """
    token = _token(request, service, shown)
    if token is None and service.is_closed:
        message = "reading needs a token here: 'edgewright-fleet token create NAME' makes one"
        raise ProblemError(401, message, headers=_SHOW_ONE)


def may_operate(request: Request, service: Given, shown: Shown) -> None:
    """Let in who may operate: always by a token of that role.

    Raises:
        ProblemError: 401, no token or one that does not hold; 403, of another role.
    """
    token = _token(request, service, shown)
    if token is None:
        message = (
            "operating needs a token: 'edgewright-fleet token create NAME --role operate' makes one"
        )
        raise ProblemError(401, message, headers=_SHOW_ONE)
    if not token.role.permits(Role.OPERATE):
        message = f"token '{token.name}' may only read; this needs the role operate"
        raise ProblemError(403, message, headers=_TOO_LITTLE)


def _token(request: Request, service: Service, shown: Shown) -> Token | None:
    """The token that a request shows; None where it shows none."""
    if "authorization" not in request.headers:
        return None
    now = service.clock()
    token = None
    if shown is not None:
        with service.database.reading() as connection:
            token = token_shown(connection, shown.credentials, now=now)
    if token is None:
        message = "this token does not hold: it was mistyped or revoked, or its days are over"
        raise ProblemError(401, message, headers=_BAD_ONE)
    request.state.caller = token.name
    if token.last_used_on != day_of(now):
        # Once a day. Where the store only reads at the moment, the request goes on.
        with contextlib.suppress(FleetError), service.database.writing() as connection:
            note_use(connection, token, now=now)
    return token
