"""Stored runs of the whole fleet, a page at a time."""

from __future__ import annotations

import difflib
from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from contract.benchmark import BenchRun
from fleet.errors import UnknownVariantError
from fleet.store.dialect import is_among
from fleet.store.roster import Device
from fleet.store.schema import devices, epochs, results

#: Names that an unknown one is compared with.
_COMPARED = 2000
_RUN = msgspec.json.Decoder(BenchRun)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One stored run of some device, without its raw samples.

    `number` rises in the order in which results were stored. `current` tells runs of the
    device's present bundle set and environment from stale ones.
    """

    number: int
    device_id: int
    site: str
    device: str
    epoch: str
    epoch_id: int
    seq: int
    received_at: float
    current: bool
    run: BenchRun


class WhichRuns(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs; None does not ask."""

    site: str | None = None
    device: str | None = None
    variant: str | None = None
    #: Received then or later, in seconds since 1970 by the fleet's clock.
    since: float | None = None


def expect_variant(connection: sa.Connection, variant: str) -> None:
    """Check that some run is of a variant of that name.

    Raises:
        UnknownVariantError: none is; says the nearest.
    """
    query = sa.select(sa.literal(1)).where(results.c.variant == variant).limit(1)
    if connection.scalar(query) is not None:
        return
    known = connection.scalars(sa.select(results.c.variant).distinct().limit(_COMPARED))
    near = difflib.get_close_matches(variant, list(known), n=3)
    hint = f"did you mean {', '.join(near)}?" if near else "'edgewright-fleet results' lists them"
    message = f"no result of variant '{variant}': {hint}"
    raise UnknownVariantError(message)


def page_of_arrivals(
    connection: sa.Connection,
    *,
    after: int,
    limit: int,
    which: WhichRuns = WhichRuns(),  # noqa: B008 - frozen
) -> list[Arrival]:
    """At most `limit` runs whose number is above `after`, in the order of their arrival."""
    query = _ARRIVALS.where(results.c.id > after).order_by(results.c.id).limit(limit)
    if which.site is not None:
        query = query.where(devices.c.site == which.site)
    if which.device is not None:
        query = query.where(devices.c.device == which.device)
    if which.variant is not None:
        query = query.where(results.c.variant == which.variant)
    if which.since is not None:
        query = query.where(results.c.received_at >= which.since)
    return _read(connection, query)


def page_of_one(
    connection: sa.Connection, device: Device, *, after: tuple[int, int], limit: int
) -> list[Arrival]:
    """At most `limit` runs of a device, oldest first by its own counting.

    `after` is number of the outbox and place in it, of the last run of the page before.
    """
    query = (
        _ARRIVALS.where(
            epochs.c.device_id == device.id,
            sa.tuple_(results.c.epoch_id, results.c.seq) > sa.tuple_(*after),
        )
        .order_by(results.c.epoch_id, results.c.seq)
        .limit(limit)
    )
    return _read(connection, query)


def arrivals_numbered(connection: sa.Connection, numbers: Collection[int]) -> list[Arrival]:
    """The runs of these numbers, as far as they are stored."""
    query = _ARRIVALS.where(is_among(connection, results.c.id, numbers)).order_by(results.c.id)
    return _read(connection, query)


_ARRIVALS = (
    sa.select(
        results.c.id,
        epochs.c.device_id,
        devices.c.site,
        devices.c.device,
        epochs.c.epoch,
        results.c.epoch_id,
        results.c.seq,
        results.c.received_at,
        results.c.fingerprint,
        results.c.set_id,
        results.c.run,
    )
    .join(epochs, epochs.c.id == results.c.epoch_id)
    .join(devices, devices.c.id == epochs.c.device_id)
)


def _read(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> list[Arrival]:
    rows = connection.execute(query).all()
    present = _present(connection, {row.device_id for row in rows})
    return [
        Arrival(
            number=row.id,
            device_id=row.device_id,
            site=row.site,
            device=row.device,
            epoch=row.epoch,
            epoch_id=row.epoch_id,
            seq=row.seq,
            received_at=row.received_at,
            current=(row.fingerprint, row.set_id) == present.get(row.device_id),
            run=_RUN.decode(row.run),
        )
        for row in rows
    ]


def _present(connection: sa.Connection, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Fingerprint and bundle set of each device now.

    By its inventory, or by its newest run where the inventory does not say.
    """
    told = connection.execute(
        sa.select(devices.c.id, devices.c.fingerprint, devices.c.set_id).where(
            is_among(connection, devices.c.id, ids)
        )
    ).all()
    newest = _newest(connection, [row.id for row in told if not (row.fingerprint and row.set_id)])
    found = {}
    for number, told_fingerprint, told_set_id in told:
        fingerprint, set_id = newest.get(number, ("", ""))
        found[number] = (told_fingerprint or fingerprint, told_set_id or set_id)
    return found


def _newest(connection: sa.Connection, ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """Fingerprint and bundle set of each device's newest run, by the device's own counting."""
    if not ids:
        return {}
    last = (
        sa.select(
            epochs.c.device_id,
            epochs.c.id.label("epoch_id"),
            sa.select(sa.func.max(results.c.seq))
            .where(results.c.epoch_id == epochs.c.id)
            .scalar_subquery()
            .label("seq"),
        )
        .where(is_among(connection, epochs.c.device_id, ids))
        .subquery()
    )
    rows = connection.execute(
        sa.select(last.c.device_id, results.c.fingerprint, results.c.set_id)
        .join(
            results,
            sa.and_(results.c.epoch_id == last.c.epoch_id, results.c.seq == last.c.seq),
        )
        .order_by(last.c.epoch_id)
    )
    return {number: (fingerprint, set_id) for number, fingerprint, set_id in rows}
