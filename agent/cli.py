"""Command line of the agent; `bench`, `run` and `serve` have files of their own.

What a daemon does not need (rich, numpy) is imported where a command needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.bench_command import bench
from agent.boxfacts import read_box
from agent.bundles import open_shelf
from agent.console import check_variants, console, progress_bar
from agent.ending import clear_errors
from agent.facts_text import facts_lines
from agent.probes.command import run_command, run_nothing
from agent.probes.disk import space_of
from agent.run_command import run
from agent.schedule import plan
from agent.serve_command import serve
from agent.supervisor import Limits, Supervisor
from agent.versions import agent_version
from contract.exits import Exit
from edgewright.command_line import Program, print_json, print_lines

if TYPE_CHECKING:
    from agent.comparison import Comparison

_ROOT = Path("/")
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_PLACE = click.Path(file_okay=False, path_type=Path)


def main() -> None:
    """Run the command line."""
    cli(prog_name="edgewright-agent")


@click.group(
    cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(agent_version(), prog_name="edgewright-agent")
def cli() -> None:
    """Measure and run variants of an image classifier on this very box."""


cli.add_command(bench)
cli.add_command(run)
cli.add_command(serve)


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
        check_variants(shelf, variants)
        jobs = plan(shelf, [threads])
        bundles = [j.bundle for j in jobs if not variants or j.bundle.member.variant in variants]
        supervisor = Supervisor(Limits(timeout_s=timeout_s))
        with progress_bar() as progress:
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
            print_lines([f"skipped: {comparison.error}"], err=True)
    print_lines(
        (f"{one.member.variant}: unreadable: {one.reason}" for one in shelf.unreadable), err=True
    )
    if as_json:
        print_json(comparisons, indent=None)
    else:
        for comparison in comparisons:
            if comparison.error is None:
                console().print(comparison_table(comparison))
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
        print_json(facts, indent=None)
    else:
        print_lines(facts_lines(facts))
    sys.exit(Exit.DONE)


def _say_why_silent(comparisons: list[Comparison]) -> None:
    """Name each variant that failed once, however many images it failed on."""
    reasons = {o.variant: o.reason for c in comparisons for o in c.opinions if o.reason}
    print_lines((f"{variant}: {reason}" for variant, reason in reasons.items()), err=True)
