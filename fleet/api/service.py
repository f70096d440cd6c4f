"""What every request needs: the store, the policies, the broker, the time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from fastapi import Depends, Request

from contract.address import BrokerAddress
from fleet.api.places import Places
from fleet.api.shelf import PolicyShelf
from fleet.api.watch import Watches
from fleet.store.database import Database


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What one running API works with."""

    database: Database
    shelf: PolicyShelf
    #: Where desired states are published.
    broker: BrokerAddress
    authority: Path
    #: Reading needs a token too. Off loopback always; on loopback where asked for.
    is_closed: bool
    #: By which a client may name this server; None takes every name.
    host_names: frozenset[str] | None
    stale_after_s: float
    listeners: Places
    #: For checks of policies, which go through all devices.
    checks: Places
    watches: Watches
    #: Whether the server is ending.
    is_stopping: Callable[[], bool]
    clock: Callable[[], float]


def service_of(request: Request) -> Service:
    """What the application was made with."""
    service: Service = request.app.state.service
    return service


#: What routes take.
Given = Annotated[Service, Depends(service_of)]
