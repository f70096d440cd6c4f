"""What is current of each device: its latest run of each variant, in its present environment.

Runs are facts and stay; a standing follows from them and is kept so that choosing need not read
a device's whole history. It is brought up to date from what came since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from fleet.choosing.figure_table import builds_named
from fleet.choosing.figures import key_of, pack_entry, split_entries
from fleet.store.catalogue import builds_of
from fleet.store.dialect import insert_or_replace, is_among, lock_devices
from fleet.store.schema import devices, epochs, results, standings

_COLUMNS = (
    "device_id", "told_fingerprint", "told_set_id", "fingerprint", "set_id", "revision",
    "last_result_id", "current_runs", "stale_runs", "entries",
)  # fmt: skip
#: Candidates of one device, the newest: enough for a set of 200 variants at five thread counts.
#: Choosing compares each with each.
MOST_CURRENT_RUNS = 1_000
_GROUPS = msgspec.json.Decoder(list[str])


class Standing(msgspec.Struct, frozen=True, gc=False):
    """One device with its current runs, packed (see `choosing.figures`), in a fixed order."""

    device_id: int
    site: str
    device: str
    #: Groups that the device tells of itself.
    told_groups: tuple[str, ...]
    stale_runs: int
    entries: bytes
    #: Whether nothing came since that would change it.
    is_fresh: bool


class _Kept(NamedTuple):
    """A row of the table."""

    device_id: int
    told_fingerprint: str | None
    told_set_id: str | None
    fingerprint: str | None
    set_id: str | None
    revision: int
    last_result_id: int
    current_runs: int
    stale_runs: int
    entries: bytes


def standings_of(connection: sa.Connection, device_ids: Collection[int]) -> list[Standing]:
    """Standings of devices as they are kept, in the order of their numbers."""
    revision = _revision_of_device()
    rows = connection.execute(
        sa.select(
            devices.c.id,
            devices.c.site,
            devices.c.device,
            devices.c.told_groups,
            sa.func.coalesce(standings.c.stale_runs, 0),
            standings.c.entries,
            sa.and_(
                revision == sa.func.coalesce(standings.c.revision, 0),
                devices.c.fingerprint.is_not_distinct_from(standings.c.told_fingerprint),
                devices.c.set_id.is_not_distinct_from(standings.c.told_set_id),
            ),
        )
        .join(standings, standings.c.device_id == devices.c.id, isouter=True)
        .where(is_among(connection, devices.c.id, device_ids))
        .order_by(devices.c.id)
    ).all()
    return [
        Standing(
            number,
            site,
            device,
            tuple(_GROUPS.decode(groups)) if groups else (),
            stale_runs,
            bytes(entries or b""),
            bool(fresh),
        )
        for number, site, device, groups, stale_runs, entries, fresh in rows
    ]


def bring_up_to_date(connection: sa.Connection, device_ids: Collection[int]) -> None:
    """Take into the standings of devices what came since they were kept.

    Args:
        connection: within a writing transaction, which holds the devices from here on.
        device_ids: which.
    """
    lock_devices(connection, devices, device_ids)
    told = connection.execute(
        sa.select(
            devices.c.id, devices.c.fingerprint, devices.c.set_id, _revision_of_device()
        ).where(is_among(connection, devices.c.id, device_ids))
    ).all()
    kept = _kept(connection, device_ids)
    known = {
        number: kept[number]
        for number, *inventory, _ in told
        if number in kept and [kept[number].told_fingerprint, kept[number].told_set_id] == inventory
    }
    news = _results_of(connection, known, since_kept=True)
    news |= _results_of(connection, [number for number, *_ in told if number not in known])
    variants = _variants_in(connection, known.values())
    changed = []
    for number, fingerprint, set_id, revision in told:
        rows = news.get(number, [])
        before = known.get(number, _nothing(number))
        after = _after(before, rows, fingerprint, set_id, variants)
        if after is None:
            # With the newest run other runs became current: look at all of them.
            every = _results_of(connection, [number]).get(number, [])
            after = _after(_nothing(number), every, fingerprint, set_id, {})
        if after is not None:
            changed.append(
                after._replace(told_fingerprint=fingerprint, told_set_id=set_id, revision=revision)
            )
    insert_or_replace(connection, standings, _COLUMNS, changed)


class _Row(NamedTuple):
    """What a result tells here."""

    device_id: int
    id: int
    epoch_id: int
    seq: int
    build_id: int
    variant: str
    threads: int
    fingerprint: str
    set_id: str
    received_at: float
    figures: bytes

    @property
    def place(self) -> tuple[int, int]:
        """Outbox and place in it: the device's own counting."""
        return self.epoch_id, self.seq

    def packed(self) -> bytes:
        """The entry of this run."""
        return pack_entry(
            build_id=self.build_id,
            threads=self.threads,
            epoch_id=self.epoch_id,
            seq=self.seq,
            received_at=self.received_at,
            figures=self.figures,
        )


def _after(
    before: _Kept,
    rows: Sequence[_Row],
    fingerprint: str | None,
    set_id: str | None,
    variants: Mapping[int, str],
) -> _Kept | None:
    """The standing with further results; None where other runs than before became current.

    A run is current when its environment and bundle set are those of the inventory, or of the
    newest run where the inventory does not say. Order comes from the outbox, not from clocks: a
    box without a battery starts in 1970.
    """
    if not rows:
        return before
    latest = {}
    for entry in split_entries(before.entries):
        build_id, threads, *place = key_of(entry)
        latest[variants[build_id], threads] = (tuple(place), entry)
    newest = max(rows, key=lambda row: row.place)
    current = before.fingerprint, before.set_id
    if before.fingerprint is None or all(newest.place > place for place, _ in latest.values()):
        current = fingerprint or newest.fingerprint, set_id or newest.set_id
    if before.fingerprint is not None and current != (before.fingerprint, before.set_id):
        return None
    current_rows = [row for row in rows if (row.fingerprint, row.set_id) == current]
    for row in current_rows:
        key = row.variant, row.threads
        if key not in latest or latest[key][0] < row.place:
            latest[key] = row.place, row.packed()
    kept = sorted(latest, key=lambda key: latest[key][0])[-MOST_CURRENT_RUNS:]
    return before._replace(
        fingerprint=current[0],
        set_id=current[1],
        last_result_id=max(row.id for row in rows),
        current_runs=before.current_runs + len(current_rows),
        stale_runs=before.stale_runs + len(rows) - len(current_rows),
        entries=b"".join(latest[key][1] for key in sorted(kept)),
    )


def _nothing(device_id: int) -> _Kept:
    return _Kept(device_id, None, None, None, None, 0, 0, 0, 0, b"")


def _kept(connection: sa.Connection, device_ids: Iterable[int]) -> dict[int, _Kept]:
    rows = connection.execute(
        sa.select(*(standings.c[name] for name in _COLUMNS)).where(
            is_among(connection, standings.c.device_id, device_ids)
        )
    ).all()
    return {row[0]: _Kept(*row) for row in rows}


def _results_of(
    connection: sa.Connection, device_ids: Collection[int], *, since_kept: bool = False
) -> dict[int, list[_Row]]:
    """Results of each device, or those alone that came after its standing was kept."""
    if not device_ids:
        return {}
    query = (
        sa.select(
            epochs.c.device_id,
            results.c.id,
            results.c.epoch_id,
            results.c.seq,
            results.c.build_id,
            results.c.variant,
            results.c.threads,
            results.c.fingerprint,
            results.c.set_id,
            results.c.received_at,
            results.c.figures,
        )
        .join(results, results.c.epoch_id == epochs.c.id)
        .where(is_among(connection, epochs.c.device_id, device_ids))
    )
    if since_kept:
        query = query.join(standings, standings.c.device_id == epochs.c.device_id).where(
            results.c.id > standings.c.last_result_id
        )
    found: dict[int, list[_Row]] = {}
    for row in connection.execute(query):
        found.setdefault(row[0], []).append(_Row(*row))
    return found


def _variants_in(connection: sa.Connection, kept: Iterable[_Kept]) -> dict[int, str]:
    numbers = builds_named(one.entries for one in kept)
    return {number: build.variant for number, build in builds_of(connection, numbers).items()}


def _revision_of_device() -> sa.ScalarSelect[int]:
    """Sum over the outboxes of a device: it rises with whatever is stored or closed."""
    return (
        sa.select(sa.cast(sa.func.coalesce(sa.func.sum(epochs.c.revision), 0), sa.BigInteger))
        .where(epochs.c.device_id == devices.c.id)
        .scalar_subquery()
    )
