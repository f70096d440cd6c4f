"""Command line of the agent; `run` and `serve` have files of their own.

What a daemon does not need (rich, numpy) is imported where a command needs it.
"""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from agent.affinity import usable_cores
from agent.bench import Effort
from agent.boxfacts import read_box
from agent.bundles import Shelf, Unreadable, open_shelf
from agent.ending import clear_errors
from agent.facts_text import facts_lines
from agent.fingerprint import fingerprint
from agent.probes.command import run_command, run_nothing
from agent.probes.disk import space_of
from agent.run_command import run
from agent.serve_command import serve
from agent.supervisor import Limits, Supervisor
from agent.sweep import Job, Sweep, plan
from agent.versions import agent_version
from contract.benchmark import BenchRun, RunStatus
from contract.exits import Exit

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from agent.comparison import Comparison

_ROOT = Path("/")
_BYTES_PER_MB = 1_000_000
_PIPE_COLUMNS = 120
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PLACE = click.Path(file_okay=False, path_type=Path)


def main() -> None:
    """Run the command line."""
    cli(prog_name="edgewright-agent")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(agent_version(), prog_name="edgewright-agent")
def cli() -> None:
    """Measure and run variants of an image classifier on this very box."""


cli.add_command(run)
cli.add_command(serve)


@cli.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    multiple=True,
    default=(1,),
    show_default=True,
    help="CPU threads of one inference; repeat it to measure several counts.",
)
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Only this variant.")
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
    help="Time of one variant, its start included.",
)
@click.option(
    "--min-seconds",
    type=click.FloatRange(min=0),
    default=Effort.min_seconds,
    show_default=True,
    help="Measure each variant at least this long.",
)
@click.option(
    "--min-runs",
    type=click.IntRange(min=1),
    default=Effort.min_runs,
    show_default=True,
    help="... and at least this often.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of runs on stdout.")
def bench(
    folder: Path,
    *,
    threads: tuple[int, ...],
    variants: tuple[str, ...],
    memory_limit_mb: int | None,
    timeout_s: float,
    min_seconds: float,
    min_runs: int,
    as_json: bool,
) -> None:
    """Measure every variant of the bundle set in DIR, each in a process of its own.

    No broker is needed. The set's baseline is measured first (with --variant as well), for
    speed-up refers to it. A variant that runs out of memory, crashes, hangs or computes
    wrong numbers is a row like any other.

    \b
    Exit code: 0 when the sweep is done, whatever it found out about the box;
               1 when a bundle is damaged or unreadable, or no variant ran well;
               2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    with clear_errors():
        shelf = open_shelf(folder)
        _check_variants(shelf, variants)
        limit_bytes = None if memory_limit_mb is None else memory_limit_mb * _BYTES_PER_MB
        supervisor = Supervisor(Limits(timeout_s=timeout_s, memory_limit_bytes=limit_bytes))
        jobs = plan(shelf, _distinct(threads), frozenset(variants) or None)
        runs = _swept(shelf, jobs, supervisor, Effort(min_seconds=min_seconds, min_runs=min_runs))
    unreadable = [u for u in shelf.unreadable if not variants or u.member.variant in variants]
    _report_bench(runs, unreadable, as_json=as_json)
    damaged = unreadable or any(run.status is RunStatus.DAMAGED for run in runs)
    well = any(run.status is RunStatus.OK for run in runs)
    sys.exit(Exit.FAILED if damaged or not well else Exit.DONE)


@cli.command()
@click.argument("images", metavar="IMAGE...", type=click.Path(path_type=Path), nargs=-1)
@click.option("--bundles", "folder", metavar="DIR", type=_FOLDER, required=True, help="Bundle set.")
@click.option("--variant", "variants", multiple=True, metavar="NAME", help="Only this variant.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="CPU threads of one inference.",
)
@click.option(
    "--timeout-s",
    type=click.FloatRange(min=0, min_open=True),
    default=300.0,
    show_default=True,
    help="Time of one variant for all images.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list of images on stdout.")
def predict(
    images: tuple[Path, ...],
    *,
    folder: Path,
    variants: tuple[str, ...],
    threads: int,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Show each IMAGE through every variant of a bundle set, side by side.

    For every variant: the three best labels with their probabilities, the time of one
    inference, and the speed-up over the set's baseline on the same image (where the
    baseline is among the variants asked).

    An image that cannot be read is named and skipped.

    \b
    Exit code: 0 when at least one image was answered by at least one variant;
               1 when no image could be read, or no variant could answer;
               2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    # Pillow and numpy are slow to import, and --help needs neither.
    from agent.comparison import compare  # noqa: PLC0415
    from agent.comparison_table import comparison_table  # noqa: PLC0415

    if not images:
        message = "at least one IMAGE is needed"
        raise click.UsageError(message)
    with clear_errors():
        shelf = open_shelf(folder)
        _check_variants(shelf, variants)
        jobs = plan(shelf, [threads])
        bundles = [j.bundle for j in jobs if not variants or j.bundle.member.variant in variants]
        supervisor = Supervisor(Limits(timeout_s=timeout_s))
        with _progress() as progress:
            bar = progress.add_task("predicting", total=len(bundles))
            comparisons = compare(
                shelf,
                bundles,
                list(images),
                threads=threads,
                supervisor=supervisor,
                on_start=lambda bundle: progress.update(
                    bar, description=bundle.member.variant, advance=1
                ),
            )
    for comparison in comparisons:
        if comparison.error is not None:
            click.echo(f"skipped: {comparison.error}", err=True)
    for one in shelf.unreadable:
        click.echo(f"{one.member.variant}: unreadable: {one.reason}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(comparisons))
    else:
        for comparison in comparisons:
            if comparison.error is None:
                _console().print(comparison_table(comparison))
        _say_why_silent(comparisons)
    answered = any(opinion.top for c in comparisons for opinion in c.opinions)
    sys.exit(Exit.DONE if answered else Exit.FAILED)


@cli.command()
@click.option("--bundles", metavar="DIR", type=_PLACE, default=".", help="Look at its disk.")
@click.option("--state-dir", metavar="DIR", type=_PLACE, default=".", help="Look at its disk.")
@click.option(
    "--root",
    metavar="DIR",
    type=_FOLDER,
    default=_ROOT,
    help="Read proc and sys in DIR, a copy from another box, instead of those of this one.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def probe(*, bundles: Path, state_dir: Path, root: Path, as_json: bool) -> None:
    """Say what this box tells of itself, and what it does not.

    These facts stand beside every measurement and in the device's inventory: processor,
    cores and clocks, memory and limits, heat and throttling, power, disks. Nothing is
    measured, and nothing leaves the box. What it does not tell is no error.
    """
    folders = {"bundles": bundles.resolve(), "state": state_dir.resolve()}
    is_this_box = root.resolve() == _ROOT
    facts = read_box(
        root,
        folders,
        # A copy of files has no firmware to ask and no disks to look at.
        run=run_command if is_this_box else run_nothing,
        space=space_of if is_this_box else lambda _folder: None,
    )
    if as_json:
        click.echo(msgspec.json.encode(facts))
    else:
        click.echo("\n".join(facts_lines(facts)))
    sys.exit(Exit.DONE)


def _say_why_silent(comparisons: list[Comparison]) -> None:
    """Name each variant that failed once, however many images it failed on."""
    reasons = {o.variant: o.reason for c in comparisons for o in c.opinions if o.reason}
    for variant, reason in reasons.items():
        click.echo(f"{variant}: {reason}", err=True)


def _progress() -> Progress:
    """Progress bar on standard error that leaves nothing behind."""
    from rich.console import Console  # noqa: PLC0415 - not for a daemon
    from rich.progress import (  # noqa: PLC0415 - likewise
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _swept(
    shelf: Shelf,
    jobs: list[Job],
    supervisor: Supervisor,
    effort: Effort,
) -> list[BenchRun]:
    """Runs of the jobs, with a progress bar on standard error."""
    with _progress() as progress:
        bar = progress.add_task("measuring", total=len(jobs))

        def announce(job: Job) -> None:
            name = f"{job.bundle.member.variant} ({job.threads} threads)"
            progress.update(bar, description=name)

        limit_bytes = supervisor.limits.memory_limit_bytes
        sweep = Sweep(
            shelf,
            sweep_id=uuid.uuid4().hex,
            fingerprint=fingerprint(
                _ROOT,
                usable_cores=len(usable_cores()),
                memory_limit_bytes=limit_bytes,
            ),
            effort=effort,
            supervisor=supervisor,
            on_start=announce,
        )
        runs = []
        for run in sweep.runs(jobs):
            runs.append(run)
            progress.advance(bar)
    return runs


def _report_bench(runs: list[BenchRun], unreadable: list[Unreadable], *, as_json: bool) -> None:
    if as_json:
        for one in unreadable:
            click.echo(f"{one.member.variant}: unreadable: {one.reason}", err=True)
        click.echo(msgspec.json.encode(runs))
        return
    from agent.table import bench_remarks, bench_table  # noqa: PLC0415 - rich, as above

    console = _console()
    console.print(bench_table(runs, unreadable))
    for remark in bench_remarks(runs, unreadable):
        console.print(remark, style="dim", markup=False, highlight=False)


def _console() -> Console:
    """Console on stdout; a pipe gets lines as long as a wide terminal's."""
    from rich.console import Console  # noqa: PLC0415 - not for a daemon

    return Console() if sys.stdout.isatty() else Console(width=_PIPE_COLUMNS)


def _check_variants(shelf: Shelf, variants: tuple[str, ...]) -> None:
    known = [member.variant for member in shelf.bundle_set.members]
    for name in variants:
        if name not in known:
            message = f"'{name}' is not in {shelf.folder}: expected one of {', '.join(known)}"
            raise click.BadParameter(message, param_hint="--variant")


def _distinct(threads: tuple[int, ...]) -> list[int]:
    return list(dict.fromkeys(threads))
