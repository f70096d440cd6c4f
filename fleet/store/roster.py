"""The devices that the store knows, and what it knows of each."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from contract.group import check_group
from contract.messages import Inventory, Presence, Update
from fleet.errors import UnknownDeviceError
from fleet.store.dialect import is_among, lists_word
from fleet.store.outbox import missing_of_each
from fleet.store.registry import Name
from fleet.store.schema import devices, epochs, memberships, quarantine, results

_INVENTORY = msgspec.json.Decoder(Inventory)
_UPDATE = msgspec.json.Decoder(Update)
_GROUPS = msgspec.json.Decoder(list[str])


#: Names that an unknown one is compared with: a thousandth of a second for every ten or so.
_COMPARED = 2000
#: From which likeness on a name is offered (difflib).
_CUTOFF = 0.5
_LISTS_THEM = "'edgewright-fleet {}' lists them"


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


class Which(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices; None does not ask."""

    site: str | None = None
    #: Name at its site.
    device: str | None = None
    #: Of the operator or of the device itself.
    group: str | None = None
    presence: Presence | None = None
    complete: bool | None = None


def list_devices(connection: sa.Connection) -> list[Device]:
    """Every known device, ordered by site and device."""
    return page_of_devices(connection, after=None, limit=None)


def page_of_devices(
    connection: sa.Connection,
    *,
    after: Name | None,
    limit: int | None,
    which: Which = Which(),  # noqa: B008 - frozen
) -> list[Device]:
    """At most `limit` devices behind the one called `after`, ordered by site and device.

    However far behind, a page costs the same: the index of the names leads to its begin.

    Raises:
        GroupError: the group is not a valid name.
    """
    query = sa.select(devices).order_by(devices.c.site, devices.c.device).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(devices.c.site, devices.c.device) > sa.tuple_(*after))
    return [
        _device(row) for row in connection.execute(query.where(*_conditions(connection, which)))
    ]


def numbers_of_devices(connection: sa.Connection, which: Which) -> list[int]:
    """Numbers of all such devices, ordered by site and device."""
    query = sa.select(devices.c.id).where(*_conditions(connection, which))
    return list(connection.scalars(query.order_by(devices.c.site, devices.c.device)))


def _conditions(connection: sa.Connection, which: Which) -> Iterator[sa.ColumnElement[bool]]:
    if which.site is not None:
        yield devices.c.site == which.site
    if which.device is not None:
        yield devices.c.device == which.device
    if which.presence is not None:
        yield devices.c.presence == which.presence.value
    if which.group is not None:
        yield _in_group(connection, which.group)
    if which.complete is not None:
        yield sa.not_(_misses) if which.complete else _misses


def device_called(connection: sa.Connection, site: str, device: str) -> Device:
    """The device of exactly that name.

    Raises:
        UnknownDeviceError: there is none; says the nearest.
    """
    query = sa.select(devices).where(devices.c.site == site, devices.c.device == device)
    row = connection.execute(query).one_or_none()
    if row is not None:
        return _device(row)
    names = sa.select(devices.c.site, devices.c.device).limit(_COMPARED)
    near = connection.execute(names.where(devices.c.site == site)).all()
    known = near or connection.execute(names).all()
    name = f"{site}/{device}"
    raise _unknown(name, [(row.site, row.device) for row in known])


def expect_some(connection: sa.Connection, which: Which) -> None:
    """Check that some device has each name that is asked for: a misspelt one finds nobody.

    Raises:
        UnknownDeviceError: none has; says the nearest.
        GroupError: the group is not a valid name.
    """

    def is_any(asked: Which) -> bool:
        return bool(page_of_devices(connection, after=None, limit=1, which=asked))

    site, group = which.site, which.group
    if which.device is not None and not is_any(Which(site=site, device=which.device)):
        query = sa.select(devices.c.site, devices.c.device).limit(_COMPARED)
        known = [(row.site, row.device) for row in connection.execute(query)]
        raise _unknown("/".join(filter(None, (site, which.device))), known)
    if site is not None and not is_any(Which(site=site)):
        sites = list(connection.scalars(sa.select(devices.c.site).distinct().limit(_COMPARED)))
        message = f"no device of site '{site}': {_hint(sites, site, 'devices')}"
        raise UnknownDeviceError(message)
    if group is not None and not is_any(Which(group=group)):
        groups = sorted(group_names(connection))[:_COMPARED]
        message = f"no device of group '{group}': {_hint(groups, group, 'group list')}"
        raise UnknownDeviceError(message)


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
    raise _unknown(name, [(one.site, one.device) for one in known])


def devices_named(connection: sa.Connection, names: Sequence[str]) -> list[Device]:
    """Devices by their names, in that order; all of them where no name is given.

    Raises:
        UnknownDeviceError: none or several go by a name.
    """
    known = list_devices(connection)
    return [find_device(known, name) for name in names] or known


def completeness_of_each(
    connection: sa.Connection, chosen: Sequence[Device]
) -> dict[int, Completeness]:
    """How complete the store is for each device, over all of its outboxes, by its number.

    Three statements, however many devices.
    """
    ids = [device.id for device in chosen]
    missing = missing_of_each(connection, ids)
    counted = _counts(
        connection,
        sa.select(epochs.c.device_id, sa.func.count())
        .join(results, results.c.epoch_id == epochs.c.id)
        .where(is_among(connection, epochs.c.device_id, ids))
        .group_by(epochs.c.device_id),
    )
    refused = _counts(
        connection,
        sa.select(devices.c.id, sa.func.count())
        .join(
            quarantine,
            sa.and_(quarantine.c.site == devices.c.site, quarantine.c.device == devices.c.device),
        )
        .where(is_among(connection, devices.c.id, ids))
        .group_by(devices.c.id),
    )
    return {
        number: Completeness(
            results=counted.get(number, 0),
            missing=missing.get(number, 0),
            quarantined=refused.get(number, 0),
        )
        for number in ids
    }


#: Of the device in the query around it: an outbox has ranges beyond a gap.
_misses = sa.exists(
    sa.select(sa.literal(1)).where(epochs.c.device_id == devices.c.id, epochs.c.islands != "[]")
)


def _unknown(name: str, known: Sequence[Name]) -> UnknownDeviceError:
    whole = [f"{site}/{device}" for site, device in known]
    candidates = dict(zip((device for _, device in known), whole, strict=True))
    candidates |= {one: one for one in whole}
    near = difflib.get_close_matches(name.strip().lower(), list(candidates), n=3, cutoff=_CUTOFF)
    named = list(dict.fromkeys(candidates[one] for one in near))
    hint = "no device has reported yet; does an agent run against the same broker?"
    if known:
        hint = f"did you mean {', '.join(named)}?" if named else _LISTS_THEM.format("devices")
    message = f"unknown device '{name}': {hint}"
    return UnknownDeviceError(message)


def _hint(known: Sequence[str], name: str, command: str) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=_CUTOFF)
    return f"did you mean {', '.join(near)}?" if near else _LISTS_THEM.format(command)


def group_names(connection: sa.Connection) -> set[str]:
    """Every group that a device tells of, or that the operator put one into."""
    told = connection.scalars(sa.select(devices.c.told_groups).distinct())
    given = connection.scalars(sa.select(memberships.c.name).distinct())
    return {*given, *(name for text in told if text for name in _GROUPS.decode(text))}


def _in_group(connection: sa.Connection, name: str) -> sa.ColumnElement[bool]:
    check_group(name)
    given = sa.exists(
        sa.select(sa.literal(1)).where(
            memberships.c.device_id == devices.c.id, memberships.c.name == name
        )
    )
    return sa.or_(given, lists_word(connection, devices.c.told_groups, name))


def _counts(connection: sa.Connection, query: sa.Select[int, int]) -> dict[int, int]:
    return dict(connection.execute(query).all())


def _device(row: Any) -> Device:  # noqa: ANN401 - a row of devices
    return Device(
        id=row.id,
        site=row.site,
        device=row.device,
        presence=Presence(row.presence) if row.presence else None,
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        inventory=_INVENTORY.decode(row.inventory) if row.inventory else None,
        progress=_UPDATE.decode(row.progress) if row.progress else None,
    )
