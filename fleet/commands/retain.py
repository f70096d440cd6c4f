"""`edgewright-fleet retain`: roll up what is old, and drop what was refused long ago."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click
import msgspec

from fleet.commands.numbers import FiniteRange
from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines
from fleet.store.database import open_database
from fleet.store.retention import Step, clear_quarantine, roll_up_samples
from fleet.store.space import Space, compact, space_of

_DAY_S = 86_400.0
_BYTES_PER_MB = 1e6


class Retained(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `retain`: what was taken from the store, or would be."""

    dry_run: bool
    rolled_up_runs: int
    rolled_up_bytes: int
    dropped_messages: int
    dropped_bytes: int
    before: Space
    after: Space


@click.command()
@click.option(
    "--samples-days",
    type=FiniteRange(min=0),
    metavar="DAYS",
    help="Keep raw samples of runs for so long, then only their roll-up.",
)
@click.option(
    "--quarantine-days",
    type=FiniteRange(min=0),
    metavar="DAYS",
    help="Keep refused messages for so long after they came last.",
)
@click.option(
    "--quarantine-most",
    type=click.IntRange(min=0),
    metavar="COUNT",
    help="Keep at most so many refused messages, the newest.",
)
@click.option(
    "--vacuum",
    is_flag=True,
    help="Afterwards write the store anew without its gaps. It locks an SQLite file for as long as "
    "that takes; needed once for a file of an earlier Edgewright.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@db_option
@json_option
def retain(
    samples_days: float | None,
    quarantine_days: float | None,
    quarantine_most: int | None,
    store_url: str,
    *,
    vacuum: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Keep raw samples and refused messages for a while, and results for ever.

    The raw samples of an old run are replaced by count, extremes, mean, standard deviation and
    ten quantiles ('edgewright-fleet results --distribution'). The run itself with all its figures
    stays. Works beside running collectors, a little at a time.
    """
    if samples_days is None and quarantine_days is None and quarantine_most is None and not vacuum:
        message = (
            "nothing to do: expected --samples-days, --quarantine-days, --quarantine-most or "
            "--vacuum"
        )
        raise click.UsageError(message)
    database = open_database(store_url, create=False)
    now = time.time()
    before = space_of(database)
    rolled_up = dropped = Step(count=0, bytes=0)
    if samples_days is not None:
        old = now - samples_days * _DAY_S
        rolled_up = _sum(roll_up_samples(database, before=old, now=now, dry_run=dry_run))
    if quarantine_days is not None or quarantine_most is not None:
        old_message = None if quarantine_days is None else now - quarantine_days * _DAY_S
        dropped = _sum(
            clear_quarantine(database, before=old_message, keep=quarantine_most, dry_run=dry_run)
        )
    if vacuum and not dry_run:
        compact(database)
    done = Retained(
        dry_run=dry_run,
        rolled_up_runs=rolled_up.count,
        rolled_up_bytes=rolled_up.bytes,
        dropped_messages=dropped.count,
        dropped_bytes=dropped.bytes,
        before=before,
        after=space_of(database),
    )
    if as_json:
        print_json(done)
    else:
        print_lines(_lines(done, vacuum=vacuum))


def _sum(steps: Iterable[Step]) -> Step:
    count = size = 0
    for step in steps:
        count, size = count + step.count, size + step.bytes
    return Step(count=count, bytes=size)


def _lines(done: Retained, *, vacuum: bool) -> list[str]:
    would = "would be " if done.dry_run else ""
    rolled, dropped = _megabytes(done.rolled_up_bytes), _megabytes(done.dropped_bytes)
    lines = [
        f"raw samples of {done.rolled_up_runs} runs ({rolled}) {would}rolled up",
        f"{done.dropped_messages} refused messages ({dropped}) {would}dropped",
    ]
    if done.dry_run:
        return [*lines, *(["the store would be written anew"] if vacuum else [])]
    before, after = done.before.total_bytes, done.after.total_bytes
    lines.append(f"the store takes {_megabytes(after)}; before, it took {_megabytes(before)}")
    if done.after.free_bytes:
        lines.append(
            f"{_megabytes(done.after.free_bytes)} of it are free for new rows; --vacuum gives them "
            "back to the disk"
        )
    return lines


def _megabytes(count: int) -> str:
    return f"{count / _BYTES_PER_MB:.1f} MB"
