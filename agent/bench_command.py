"""The command `edgewright-agent bench`."""

from __future__ import annotations

import contextlib
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import click

from agent.affinity import usable_cores
from agent.bundles import Shelf, Unreadable, open_shelf
from agent.console import check_variants, console, progress_bar
from agent.effort import Effort
from agent.ending import clear_errors
from agent.fingerprint import fingerprint
from agent.samples import SampleArchive
from agent.schedule import Job, Turn, plan
from agent.supervisor import Limits, Supervisor
from agent.sweep import Sweep
from contract.benchmark import BenchRun, RunStatus
from contract.exits import Exit
from contract.settings import Mode
from edgewright.command_line import print_json, print_lines
from edgewright.terminal import LINE_CHARACTERS, visible

_ROOT = Path("/")
_BYTES_PER_MB = 1_000_000
_SECONDS_PER_MINUTE = 60.0


@click.command()
@click.argument(
    "folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1,),
    show_default=True,
    help="CPU threads of one inference; repeat it to measure several counts.",
)
@click.option("--all-threads", is_flag=True, help="Measure 1, 2, 4 ... threads, up to the cores.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Only this variant.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.QUICK.value,
    show_default=True,
    help="Quick: as the box is now. Sustained: each variant until its latency has settled, which "
    "takes minutes.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=Effort.rounds,
    show_default=True,
    help="Quick: fresh processes for each variant, spread over the sweep.",
)
@click.option(
    "--min-seconds",
    type=click.FloatRange(min=0),
    default=Effort.min_seconds,
    show_default=True,
    help="Quick: each process measures at least this long ...",
)
@click.option(
    "--min-runs",
    type=click.IntRange(min=1),
    default=Effort.min_runs,
    show_default=True,
    help="... and at least this often.",
)
@click.option(
    "--max-minutes",
    type=click.FloatRange(min=0, min_open=True),
    default=Effort.max_seconds / _SECONDS_PER_MINUTE,
    show_default=True,
    help="Sustained: at most this long for each variant, and never less than two.",
)
@click.option(
    "--evalset-seconds",
    type=click.FloatRange(min=0),
    default=Effort.evalset_seconds,
    show_default=True,
    help="Measure each variant's accuracy here, where the set has images for it, at most this "
    "long; 0 leaves it out.",
)
@click.option(
    "--memory-limit-mb",
    type=click.IntRange(min=1),
    metavar="MB",
    help="Memory of one worker, in 10^6 bytes; importing torch alone takes about 240.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Time of one process, its start included; --max-minutes and --evalset-seconds are on top.",
)
@click.option(
    "--samples",
    "samples_folder",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep all latencies of runs that have more than 4,096, a file a run.",
)
@click.option(
    "-v", "--verbose", is_flag=True, help="Below the table: engines, and golden logits compared."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of runs on stdout.")
def bench(
    folder: Path,
    *,
    threads: tuple[int, ...],
    all_threads: bool,
    variants: tuple[str, ...],
    mode: str,
    rounds: int,
    min_seconds: float,
    min_runs: int,
    max_minutes: float,
    evalset_seconds: float,
    memory_limit_mb: int | None,
    timeout_s: float,
    samples_folder: Path | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Measure every variant of the bundle set in DIR, each in processes of its own.

    No broker is needed. The processes come in an order that chance settles, so that heat and
    neighbours meet all variants alike; the set's baseline comes first and last (with --variant as
    well), for speed-up refers to it. A variant that runs out of memory, crashes, hangs or
    computes wrong numbers is a row like any other.

    \b
    Exit code: 0 when the sweep is done, whatever it found out about the box;
               1 when a bundle is damaged or unreadable, or no variant ran well;
               2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    effort = Effort(
        mode=Mode(mode),
        rounds=rounds,
        min_seconds=min_seconds,
        min_runs=min_runs,
        max_seconds=max_minutes * _SECONDS_PER_MINUTE,
        evalset_seconds=evalset_seconds,
    )
    with clear_errors():
        shelf = open_shelf(folder)
        check_variants(shelf, variants)
        limit_bytes = None if memory_limit_mb is None else memory_limit_mb * _BYTES_PER_MB
        supervisor = Supervisor(Limits(timeout_s=timeout_s, memory_limit_bytes=limit_bytes))
        counts = _thread_counts() if all_threads else list(dict.fromkeys(threads))
        jobs = plan(shelf, counts, frozenset(variants) or None)
        runs = _swept(shelf, jobs, supervisor, effort, samples_folder)
    unreadable = [u for u in shelf.unreadable if not variants or u.member.variant in variants]
    _report(runs, unreadable, verbose=verbose, as_json=as_json)
    damaged = unreadable or any(run.status is RunStatus.DAMAGED for run in runs)
    well = any(run.status is RunStatus.OK for run in runs)
    sys.exit(Exit.FAILED if damaged or not well else Exit.DONE)


def _swept(
    shelf: Shelf,
    jobs: list[Job],
    supervisor: Supervisor,
    effort: Effort,
    samples_folder: Path | None,
) -> list[BenchRun]:
    """Runs of the jobs in their order, with a progress bar on standard error."""
    archive = SampleArchive(samples_folder) if samples_folder is not None else None
    with progress_bar() as progress:
        bar = progress.add_task("measuring")

        @contextlib.contextmanager
        def shown(turn: Turn) -> Iterator[None]:
            variant, threads = turn.job.key
            name = f"{variant} ({threads} threads)" if threads > 1 else variant
            progress.update(bar, description=name)
            yield
            progress.advance(bar)

        sweep = Sweep(
            shelf,
            sweep_id=uuid.uuid4().hex,
            fingerprint=fingerprint(
                _ROOT,
                usable_cores=len(usable_cores()),
                memory_limit_bytes=supervisor.limits.memory_limit_bytes,
            ),
            effort=effort,
            supervisor=supervisor,
            during=shown,
        )
        progress.update(bar, total=len(sweep.turns(jobs)))
        runs = {}
        for finished in sweep.finish(jobs):
            runs[finished.run.variant, finished.run.threads] = finished.run
            if archive is not None:
                archive.keep(finished)
    return [runs[job.key] for job in jobs]


def _thread_counts() -> list[int]:
    """Powers of two up to the cores that may be used, and all of these."""
    cores = len(usable_cores())
    return sorted({2**power for power in range(cores.bit_length())} | {cores})


def _report(
    runs: list[BenchRun], unreadable: list[Unreadable], *, verbose: bool, as_json: bool
) -> None:
    if as_json:
        print_lines(
            (f"{one.member.variant}: unreadable: {one.reason}" for one in unreadable), err=True
        )
        print_json(runs, indent=None)
        return
    # rich is not for a daemon.
    from agent.table import bench_remarks, bench_table, numerics_remarks  # noqa: PLC0415

    terminal = console()
    terminal.print(bench_table(runs, unreadable))
    remarks = numerics_remarks(runs) if verbose else []
    for remark in [*remarks, *bench_remarks(runs, unreadable)]:
        terminal.print(visible(remark, LINE_CHARACTERS), style="dim")
