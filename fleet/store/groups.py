"""Groups that the operator puts devices into, beside those that devices tell of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from contract.group import check_group
from fleet.store.dialect import insert_unless_there
from fleet.store.roster import Device
from fleet.store.schema import memberships


def groups_of(connection: sa.Connection, device: Device) -> list[str]:
    """All groups of a device, by whoever put it there, in the order of their names."""
    told = device.inventory.groups if device.inventory else []
    given = connection.scalars(
        sa.select(memberships.c.name).where(memberships.c.device_id == device.id)
    )
    return sorted({*told, *given})


def members_of_each(connection: sa.Connection, devices: Sequence[Device]) -> dict[str, list[str]]:
    """Names of the devices in each group, by the name of the group."""
    given: dict[int, set[str]] = {}
    for number, name in connection.execute(sa.select(memberships.c.device_id, memberships.c.name)):
        given.setdefault(number, set()).add(name)
    found: dict[str, list[str]] = {}
    for device in devices:
        told = device.inventory.groups if device.inventory else []
        for name in given.get(device.id, set()).union(told):
            found.setdefault(name, []).append(device.name)
    return dict(sorted(found.items()))


def add_to_group(connection: sa.Connection, name: str, devices: Iterable[Device]) -> None:
    """Put devices into a group; those that are in it already stay.

    Raises:
        GroupError: `name` is not a valid one.
    """
    check_group(name)
    rows = [{"device_id": device.id, "name": name} for device in devices]
    insert_unless_there(connection, memberships, rows)


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What became of devices that were to leave a group."""

    gone: list[Device]
    #: They tell of the group themselves.
    stay: list[Device]
    #: They were not in it.
    strangers: list[Device]


def remove_from_group(connection: sa.Connection, name: str, devices: Iterable[Device]) -> Removal:
    """Take devices out of a group.

    Raises:
        GroupError: `name` is not a valid one.
    """
    check_group(name)
    found = Removal(gone=[], stay=[], strangers=[])
    for device in devices:
        mine = (memberships.c.device_id == device.id, memberships.c.name == name)
        removed = connection.execute(sa.delete(memberships).where(*mine)).rowcount
        if name in groups_of(connection, device):
            found.stay.append(device)
        else:
            (found.gone if removed else found.strangers).append(device)
    return found
