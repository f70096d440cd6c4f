"""What the store knows of a device that bears on a choice."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from contract.benchmark import BenchRun
from contract.interval import Interval
from fleet.choosing.candidate import Candidate, candidate_of
from fleet.store.roster import Device
from fleet.store.schema import epochs, results

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
            results.c.p95_ci_low_ms,
            results.c.p95_ci_high_ms,
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
            p95_interval_ms=None
            if row.p95_ci_low_ms is None
            else Interval(row.p95_ci_low_ms, row.p95_ci_high_ms),
            run=run,
        )
        for row, run in zip(rows, runs, strict=True)
    ]


def candidates_of(runs: list[StoredRun]) -> tuple[Candidate, ...]:
    """Latest current run of each variant and thread count, ordered by both."""
    latest = {
        (one.run.variant, one.run.threads): candidate_of(one.run, one.p95_interval_ms)
        for one in runs
        if one.current
    }
    return tuple(latest[key] for key in sorted(latest))
