"""What changes something: each needs a token of the role operate."""

from __future__ import annotations

import logging
import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from contract.group import GROUP_RULE
from fleet.api.access import may_operate
from fleet.api.deciding import recommend_each
from fleet.api.documents import answer, responses, schema_of
from fleet.api.problem import ProblemError
from fleet.api.routes.devices import Name, Site
from fleet.api.routes.recommendations import PolicyName
from fleet.api.service import Given
from fleet.authority.authority import fleet_access
from fleet.choosing.policy import DEFAULT_POLICY
from fleet.collecting.replay import Replayed, replay
from fleet.mqtt.short_connection import publish_once
from fleet.reports.report import DeviceReport
from fleet.reports.roster import report_devices
from fleet.store.groups import add_to_group, remove_from_group
from fleet.store.rollout import Rollout, roll_out
from fleet.store.roster import device_called

_log = logging.getLogger(__name__)

router = APIRouter(tags=["operating"], dependencies=[Depends(may_operate)])

_PUBLISH_PATIENCE_S = 10.0
_OPERATES = {"x-role": "operate"}

Group = Annotated[str, Path(description=f"Name of the group; {GROUP_RULE}.")]


@router.post(
    "/devices/{site}/{device}/apply",
    responses=responses(schema_of(Rollout), "What became of it.", 403, 404, 502),
    openapi_extra=_OPERATES,
)
def apply(
    request: Request,
    service: Given,
    site: Site,
    device: Name,
    *,
    policy_name: PolicyName = DEFAULT_POLICY,
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
) -> Response:
    """Make the recommendation for a device its desired state, and publish that.

    A device without a variant within its limits is left alone: `desired` is null then. With
    502 the desired state is stored, and the collector publishes it within ten seconds,
    or as it connects.
    """
    policy = service.shelf.policy(policy_name)
    with service.database.reading() as connection:
        chosen = device_called(connection, site, device)
    found = recommend_each(service, [chosen], policy)
    with service.database.writing() as connection:
        (rollout,) = roll_out(connection, found, now=service.clock(), dry_run=dry_run)
    if rollout.desired is not None and not dry_run:
        _say_who(request, "applied", f"{site}/{device}")
        publish_once(
            service.broker,
            [rollout.desired],
            access=fleet_access(service.broker, service.authority),
            client_name=f"edgewright-api-{uuid.uuid4().hex[:12]}",
            timeout_s=_PUBLISH_PATIENCE_S,
        )
    return answer(rollout)


@router.put(
    "/devices/{site}/{device}/groups/{group}",
    responses=responses(schema_of(DeviceReport), "The device.", 403, 404),
    openapi_extra=_OPERATES,
)
def add_group(request: Request, service: Given, site: Site, device: Name, group: Group) -> Response:
    """Put a device into a group, which is made where it is new."""
    with service.database.writing() as connection:
        chosen = device_called(connection, site, device)
        add_to_group(connection, group, [chosen])
        (row,) = report_devices(connection, [chosen], now=service.clock())
    _say_who(request, "put into a group", f"{site}/{device}")
    return answer(row)


@router.delete(
    "/devices/{site}/{device}/groups/{group}",
    responses=responses(schema_of(DeviceReport), "The device.", 403, 404, 409),
    openapi_extra=_OPERATES,
)
def remove_group(
    request: Request, service: Given, site: Site, device: Name, group: Group
) -> Response:
    """Take a device out of a group; one that tells of the group itself stays in it.

    One that is not in it is answered as one that left.
    """
    with service.database.writing() as connection:
        chosen = device_called(connection, site, device)
        found = remove_from_group(connection, group, [chosen])
        (row,) = report_devices(connection, [chosen], now=service.clock())
    if found.stay:
        message = f"{site}/{device} stays: its own agent.toml names the group {group}"
        raise ProblemError(409, message)
    _say_who(request, "taken out of a group", f"{site}/{device}")
    return answer(row)


@router.post(
    "/quarantine/{number}/replay",
    responses=responses(schema_of(Replayed), "What became of it.", 403, 404),
    openapi_extra=_OPERATES,
)
def replay_message(
    request: Request, service: Given, number: Annotated[int, Path(ge=1, le=2**62)]
) -> Response:
    """Read a refused message once more, and store it where it is accepted now.

    `problem` says why it stays, and is null where it was stored.
    """
    (replayed,) = replay(service.database, [number], now=service.clock())
    _say_who(request, "replayed", str(number))
    return answer(replayed)


def _say_who(request: Request, what: str, subject: str) -> None:
    _log.info("operated what=%s subject=%s token=%s", what, subject, request.state.caller)
