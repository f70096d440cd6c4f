"""Devices and their results."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from contract.group import GROUP_RULE
from contract.messages import Presence
from contract.topics import ID_PATTERN
from fleet.api.access import may_read
from fleet.api.documents import PAGE_OF_RESULTS, answer, responses, schema_of
from fleet.api.paging import Asked, Page, answer_page, read_cursor, write_cursor
from fleet.api.service import Given
from fleet.reports.report import DeviceReport, report_arrival
from fleet.reports.roster import report_devices
from fleet.store.history import Arrival, WhichRuns, page_of_arrivals, page_of_one
from fleet.store.roster import Which, device_called, page_of_devices

router = APIRouter(tags=["devices"], dependencies=[Depends(may_read)])

Site = Annotated[str, Path(pattern=ID_PATTERN, description="Site of the device.")]
Name = Annotated[str, Path(pattern=ID_PATTERN, description="Name of the device at its site.")]


def which_devices(
    site: Annotated[str | None, Query(pattern=ID_PATTERN, description="Those of one site.")] = None,
    group: Annotated[str | None, Query(description=f"Those in a group; {GROUP_RULE}.")] = None,
    presence: Annotated[Presence | None, Query(description="Those that are so.")] = None,
    complete: Annotated[
        bool | None, Query(description="Whether all that they sent has arrived.")
    ] = None,
) -> Which:
    """Which devices a request asks for."""
    return Which(site=site, group=group, presence=presence, complete=complete)


Chosen = Annotated[Which, Depends(which_devices)]


@router.get(
    "/devices", responses=responses(schema_of(Page[DeviceReport]), "Devices, by site and name.")
)
def list_devices(request: Request, service: Given, asked: Asked, which: Chosen) -> Response:
    """Presence, completeness of their results, and variants of the devices."""
    after = read_cursor("devices", asked.after, tuple[str, str])
    with service.database.reading() as connection:
        found = page_of_devices(connection, after=after, limit=asked.limit + 1, which=which)
        rows = report_devices(connection, found[: asked.limit], now=service.clock())
    following = None
    if len(found) > asked.limit:
        following = write_cursor("devices", (rows[-1].site, rows[-1].device))
    return answer_page(request, rows, following)


@router.get("/devices/{site}/{device}", responses=responses(schema_of(DeviceReport), "It.", 404))
def show_device(service: Given, site: Site, device: Name) -> Response:
    """One device."""
    with service.database.reading() as connection:
        chosen = device_called(connection, site, device)
        (row,) = report_devices(connection, [chosen], now=service.clock())
    return answer(row)


@router.get(
    "/devices/{site}/{device}/results",
    responses=responses(PAGE_OF_RESULTS, "Its runs, oldest first by its own counting.", 404),
)
def list_results_of_device(
    request: Request, service: Given, asked: Asked, site: Site, device: Name
) -> Response:
    """Every stored run of one device."""
    after = read_cursor("results of a device", asked.after, tuple[int, int])
    with service.database.reading() as connection:
        chosen = device_called(connection, site, device)
        found = page_of_one(connection, chosen, after=after or (0, 0), limit=asked.limit + 1)
    following = None
    if len(found) > asked.limit:
        last = found[asked.limit - 1]
        following = write_cursor("results of a device", (last.epoch_id, last.seq))
    return _results(request, found[: asked.limit], following)


@router.get(
    "/results", responses=responses(PAGE_OF_RESULTS, "Runs in the order in which they were stored.")
)
def list_results(
    request: Request,
    service: Given,
    asked: Asked,
    *,
    site: Annotated[str | None, Query(pattern=ID_PATTERN, description="Of one site.")] = None,
    variant: Annotated[str | None, Query(max_length=200, description="Of one variant.")] = None,
    since: Annotated[
        float | None,
        Query(
            ge=0,
            allow_inf_nan=False,
            description="Received then or later: seconds since 1970 in UTC by the fleet's clock, a "
            "number such as 1796083200 or 1796083200.5.",
            examples=[1796083200],
        ),
    ] = None,
) -> Response:
    """Stored runs of the whole fleet."""
    after = read_cursor("results", asked.after, int) or 0
    which = WhichRuns(site=site, variant=variant, since=since)
    with service.database.reading() as connection:
        found = page_of_arrivals(connection, after=after, limit=asked.limit + 1, which=which)
    following = None
    if len(found) > asked.limit:
        following = write_cursor("results", found[asked.limit - 1].number)
    return _results(request, found[: asked.limit], following)


def _results(request: Request, found: list[Arrival], following: str | None) -> Response:
    return answer_page(request, [report_arrival(one) for one in found], following)
