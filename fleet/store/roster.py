"""The devices that the store knows, and what it knows of each."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from contract.messages import Inventory, Presence, Update
from fleet.errors import UnknownDeviceError
from fleet.store.outbox import watermarks_of
from fleet.store.schema import devices, epochs, quarantine, results

_INVENTORY = msgspec.json.Decoder(Inventory)
_UPDATE = msgspec.json.Decoder(Update)


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device as the store knows it; None where it has not said."""

    id: int
    site: str
    device: str
    presence: Presence | None
    first_seen_at: float
    last_seen_at: float | None
    inventory: Inventory | None
    progress: Update | None

    @property
    def name(self) -> str:
        """`site/device`."""
        return f"{self.site}/{self.device}"


class Completeness(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what a device has measured is in the store."""

    results: int
    missing: int
    quarantined: int


def device_ids(connection: sa.Connection) -> list[int]:
    """Number of every known device."""
    return list(connection.scalars(sa.select(devices.c.id).order_by(devices.c.id)))


def list_devices(connection: sa.Connection) -> list[Device]:
    """Every known device, ordered by site and device."""
    rows = connection.execute(
        sa.select(devices).order_by(devices.c.site, devices.c.device),
    )
    return [
        Device(
            id=row.id,
            site=row.site,
            device=row.device,
            presence=Presence(row.presence) if row.presence else None,
            first_seen_at=row.first_seen_at,
            last_seen_at=row.last_seen_at,
            inventory=_INVENTORY.decode(row.inventory) if row.inventory else None,
            progress=_UPDATE.decode(row.progress) if row.progress else None,
        )
        for row in rows
    ]


def find_device(known: list[Device], name: str) -> Device:
    """Return the device called `site/device`, or `device` where only one site has it.

    Raises:
        UnknownDeviceError: none or several go by that name; says the nearest.
    """
    wanted = name.strip().lower()
    found = [one for one in known if wanted in (one.name, one.device)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(one.name for one in found)
        message = f"device '{name}' is at several sites; say which: {names}"
        raise UnknownDeviceError(message)
    candidates = {one.device: one.name for one in known} | {one.name: one.name for one in known}
    near = difflib.get_close_matches(wanted, list(candidates), n=3, cutoff=0.5)
    if near:
        names = ", ".join(dict.fromkeys(candidates[one] for one in near))
        hint = f"did you mean {names}?"
    elif known:
        hint = "'edgewright-fleet devices' lists them"
    else:
        hint = "no device has reported yet; does an agent run against the same broker?"
    message = f"unknown device '{name}': {hint}"
    raise UnknownDeviceError(message)


def devices_named(connection: sa.Connection, names: Sequence[str]) -> list[Device]:
    """Devices by their names, in that order; all of them where no name is given.

    Raises:
        UnknownDeviceError: none or several go by a name.
    """
    known = list_devices(connection)
    return [find_device(known, name) for name in names] or known


def completeness_of(connection: sa.Connection, device: Device) -> Completeness:
    """How complete the store is for a device, over all of its outboxes."""
    marks = watermarks_of(connection, device.id)
    outboxes = sa.select(epochs.c.id).where(epochs.c.device_id == device.id)
    return Completeness(
        results=_count(connection, results, results.c.epoch_id.in_(outboxes)),
        missing=sum(mark.missing for mark in marks.values()),
        quarantined=_count(
            connection,
            quarantine,
            sa.and_(quarantine.c.site == device.site, quarantine.c.device == device.device),
        ),
    )


def _count(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(which)
    return int(connection.scalar(query) or 0)
