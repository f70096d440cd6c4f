"""The command line of `benchmarks/fleet.py`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.lib.findings import Finding, print_findings
from benchmarks.lib.fleet_choosing import measure_choosing
from benchmarks.lib.fleet_cluster import measure_cluster
from benchmarks.lib.fleet_decision import measure_decision
from benchmarks.lib.fleet_drain import measure_drain
from benchmarks.lib.fleet_freshness import measure_freshness
from benchmarks.lib.fleet_growth import measure_growth
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.fleet_scale import measure_scale
from benchmarks.lib.fleet_sizing import measure_sizing
from benchmarks.lib.fleet_survival import measure_survival
from benchmarks.lib.processor import read_processor
from benchmarks.lib.program import errors_reported
from builder.progress_bar import ProgressBar

_PROGRAM = "benchmarks/fleet.py"
_PACKAGES = ("edgewright", "paho-mqtt", "sqlalchemy", "msgspec", "numpy", "psycopg")
_SECTIONS: Mapping[str, Callable[[FleetOccasion], Finding]] = {
    "drain": measure_drain,
    "growth": measure_growth,
    "decision": measure_decision,
    "choosing": measure_choosing,
    "freshness": measure_freshness,
    "scale": measure_scale,
    "sizing": measure_sizing,
    "survival": measure_survival,
    "cluster": measure_cluster,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="Shorter: a minute or two for everything.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
@click.option(
    "--only",
    "names",
    type=click.Choice(sorted(_SECTIONS)),
    multiple=True,
    help="Only this section; may be repeated.",
)
def command(*, quick: bool, as_json: bool, names: tuple[str, ...]) -> None:
    """Measure what the fleet's side can do: real brokers, real collectors, real stores."""
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    processor = read_processor()
    findings: dict[str, Finding] = {}
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        for name in dict.fromkeys(names or _SECTIONS):
            with tempfile.TemporaryDirectory(prefix=f"edgewright-{name}-") as scratch:
                occasion = FleetOccasion(scratch=Path(scratch), quick=quick, progress=progress)
                findings[name] = _SECTIONS[name](occasion)
    print_findings(
        findings,
        started_at=started_at,
        processor=processor,
        packages=_PACKAGES,
        as_json=as_json,
    )
