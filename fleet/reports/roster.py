"""The rows of `devices`, for a whole page of them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from fleet.reports.report import DeviceReport, report_device
from fleet.store.groups import groups_of_each
from fleet.store.identity import identities_of
from fleet.store.rollout import current_desired
from fleet.store.roster import Device, completeness_of_each


def report_devices(
    connection: sa.Connection, chosen: Sequence[Device], *, now: float
) -> list[DeviceReport]:
    """Row of each device, in their order; as many statements for a thousand as for one."""
    numbers = [device.id for device in chosen]
    complete = completeness_of_each(connection, chosen)
    desired = {(one.site, one.device): one for one in current_desired(connection, numbers)}
    groups = groups_of_each(connection, chosen)
    identities = identities_of(connection, numbers, now=now)
    return [
        report_device(
            device,
            complete[device.id],
            desired.get((device.site, device.device)),
            identities[device.id],
            groups[device.id],
        )
        for device in chosen
    ]
