"""Groups that the operator puts devices into, beside those that devices tell of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from contract.group import check_group
from fleet.store.dialect import insert_unless_there, is_among
from fleet.store.roster import Device
from fleet.store.schema import memberships


def groups_of(connection: sa.Connection, device: Device) -> list[str]:
    """All groups of a device, by whoever put it there, in the order of their names."""
    return groups_of_each(connection, [device])[device.id]


def groups_of_each(connection: sa.Connection, devices: Sequence[Device]) -> dict[int, list[str]]:
    """The same of several devices, by their numbers, in one statement."""
    found = {one.id: set(one.inventory.groups if one.inventory else []) for one in devices}
    given = sa.select(memberships.c.device_id, memberships.c.name).where(
        is_among(connection, memberships.c.device_id, list(found))
    )
    for number, name in connection.execute(given):
        found[number].add(name)
    return {number: sorted(names) for number, names in found.items()}


def members_of_each(connection: sa.Connection, devices: Sequence[Device]) -> dict[str, list[str]]:
    """Names of the devices in each group, by the name of the group."""
    groups = groups_of_each(connection, devices)
    found: dict[str, list[str]] = {}
    for device in devices:
        for name in groups[device.id]:
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
