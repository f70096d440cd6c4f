"""The rows of `devices`, for a whole page of them."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from fleet.reports.report import DeviceReport, report_device
from fleet.store.rollout import current_desired
from fleet.store.roster import Device, completeness_of_each


def report_devices(connection: sa.Connection, chosen: Sequence[Device]) -> list[DeviceReport]:
    """Row of each device, in their order; as many statements for a thousand as for one."""
    complete = completeness_of_each(connection, chosen)
    desired = {
        (one.site, one.device): one
        for one in current_desired(connection, [device.id for device in chosen])
    }
    return [
        report_device(device, complete[device.id], desired.get((device.site, device.device)))
        for device in chosen
    ]
