"""What the store knows of a device that bears on a choice."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from contract.benchmark import BenchRun
from contract.interval import Interval
from fleet.choosing.candidate import Candidate, Provenance, candidate_of
from fleet.choosing.figures import p95_interval_in, pack_entry
from fleet.store.dialect import pairs
from fleet.store.roster import Device
from fleet.store.schema import epochs, results

#: Number of an outbox, and place in it.
Place = tuple[int, int]

_RUN = msgspec.json.Decoder(BenchRun)


class StoredRun(msgspec.Struct, frozen=True, kw_only=True):
    """One stored run, without its raw samples.

    `current` tells runs of the present bundle set and environment from stale ones.
    """

    epoch: str
    seq: int
    received_at: float
    current: bool
    p95_interval_ms: Interval | None
    run: BenchRun


def runs_of(connection: sa.Connection, device: Device) -> list[StoredRun]:
    """Every stored run of a device, oldest first by its own counting.

    Order comes from the outbox, not from clocks: a box without a battery starts in 1970. A
    run is current when its environment fingerprint and bundle set are those of the device's
    inventory, or of its newest run where the inventory does not say.
    """
    rows = connection.execute(
        sa.select(
            epochs.c.epoch,
            results.c.seq,
            results.c.received_at,
            results.c.figures,
            results.c.run,
        )
        .join(epochs, epochs.c.id == results.c.epoch_id)
        .where(epochs.c.device_id == device.id)
        .order_by(epochs.c.id, results.c.seq),
    ).all()
    runs = [_RUN.decode(row.run) for row in rows]
    if not runs:
        return []
    told = device.inventory
    fingerprint = told.fingerprint if told else runs[-1].fingerprint
    set_id = (told.set_id if told else None) or runs[-1].set_id
    return [
        StoredRun(
            epoch=row.epoch,
            seq=row.seq,
            received_at=row.received_at,
            current=(run.fingerprint, run.set_id) == (fingerprint, set_id),
            p95_interval_ms=p95_interval_in(row.figures),
            run=run,
        )
        for row, run in zip(rows, runs, strict=True)
    ]


def candidates_at(
    connection: sa.Connection, places: Sequence[Place]
) -> dict[Place, tuple[Candidate, bytes]]:
    """Candidates that stored runs make, and their packed entries, by outbox and place."""
    wanted = pairs(connection, places, sa.BigInteger(), sa.BigInteger())
    rows = connection.execute(
        sa.select(
            results.c.epoch_id,
            results.c.seq,
            results.c.build_id,
            results.c.threads,
            results.c.received_at,
            results.c.figures,
            results.c.run,
        ).join(
            wanted,
            sa.and_(wanted.c.first == results.c.epoch_id, wanted.c.second == results.c.seq),
        )
    ).all()
    found = {}
    for epoch_id, seq, build_id, threads, received_at, figures, run in rows:
        entry = pack_entry(
            build_id=build_id,
            threads=threads,
            epoch_id=epoch_id,
            seq=seq,
            received_at=received_at,
            figures=figures,
        )
        decoded = _RUN.decode(run)
        provenance = Provenance(received_at=received_at, processes=decoded.processes)
        candidate = candidate_of(decoded, p95_interval_in(figures), provenance)
        found[epoch_id, seq] = candidate, entry
    return found
