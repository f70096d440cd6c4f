"""Numbers of the devices that messages name; who was never heard of gets one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import sqlalchemy as sa

from fleet.store.dialect import insert_unless_there, lock_devices, pairs
from fleet.store.schema import devices

#: Site and device.
Name = tuple[str, str]


class Registry:
    """Numbers of devices; a number does not change while its device is there."""

    def __init__(self) -> None:
        self._known: dict[Name, int] = {}

    def meet(
        self, connection: sa.Connection, names: Collection[Name], *, now: float
    ) -> dict[Name, int]:
        """Numbers of devices, which this transaction holds until it ends.

        Those that the store does not know are made known; `remember` them once that is
        durable.
        """
        found = {name: self._known[name] for name in names if name in self._known}
        missing = sorted(name for name in names if name not in found)
        if missing:
            found |= _made_known(connection, missing, now)
        lock_devices(connection, devices, found.values())
        return found

    def remember(self, numbers: Mapping[Name, int]) -> None:
        """Look these up no more: the transaction that met them is durable."""
        self._known.update(numbers)

    def forget(self) -> None:
        """Look everything up again: what was looked up does not fit the store any more."""
        self._known.clear()


def _made_known(connection: sa.Connection, names: list[Name], now: float) -> dict[Name, int]:
    found = _look_up(connection, names)
    rows = [
        {"site": site, "device": device, "first_seen_at": now}
        for site, device in names
        if (site, device) not in found
    ]
    if not rows:
        return found
    insert_unless_there(connection, devices, rows)
    return _look_up(connection, names)


def _look_up(connection: sa.Connection, names: Iterable[Name]) -> dict[Name, int]:
    wanted = pairs(connection, names, sa.Text(), sa.Text())
    rows = connection.execute(
        sa.select(devices.c.id, devices.c.site, devices.c.device).join(
            wanted,
            sa.and_(wanted.c.first == devices.c.site, wanted.c.second == devices.c.device),
        )
    ).all()
    return {(site, device): number for number, site, device in rows}
