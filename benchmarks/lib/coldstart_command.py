"""The command line of `benchmarks/coldstart.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import click
from rich.console import Console

from benchmarks.lib.coldstart_contest import measure_known, measure_unseen
from benchmarks.lib.coldstart_models import measure_models
from benchmarks.lib.coldstart_zero import measure_zero
from benchmarks.lib.findings import Finding, print_findings
from benchmarks.lib.processor import read_processor
from benchmarks.lib.program import errors_reported
from builder.progress import Progress
from builder.progress_bar import ProgressBar

_PROGRAM = "benchmarks/coldstart.py"
_PACKAGES = ("edgewright", "numpy", "scikit-learn")
#: Each with the devices of a quick and of a full run; of a kind, for `unseen`.
_SECTIONS: Mapping[str, tuple[Callable[[int, Progress], Finding], int, int]] = {
    "models": (measure_models, 40, 200),
    "known": (measure_known, 40, 360),
    "unseen": (measure_unseen, 3, 10),
    "zero": (measure_zero, 100, 300),
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="Fewer devices: a minute or two for everything.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
@click.option(
    "--only",
    "names",
    type=click.Choice(sorted(_SECTIONS)),
    multiple=True,
    help="Only this section; may be repeated.",
)
def command(*, quick: bool, as_json: bool, names: tuple[str, ...]) -> None:
    """Simulate fleets, and count what finding the best variant takes with the predictor.

    Nothing is timed: the same version gives the same figures.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    findings: dict[str, Finding] = {}
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        for name in dict.fromkeys(names or _SECTIONS):
            measure, few, many = _SECTIONS[name]
            findings[name] = measure(few if quick else many, progress)
    print_findings(
        findings,
        started_at=started_at,
        processor=read_processor(),
        packages=_PACKAGES,
        as_json=as_json,
    )
