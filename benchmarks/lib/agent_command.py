"""The command line of `benchmarks/agent.py`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.lib.agent_coverage import measure_coverage
from benchmarks.lib.agent_idle import measure_idle
from benchmarks.lib.agent_occasion import Occasion, Section
from benchmarks.lib.agent_overhead import measure_overhead
from benchmarks.lib.bundles import Order, build_bundles
from benchmarks.lib.findings import Finding, print_findings
from benchmarks.lib.photographs import calibration_images
from benchmarks.lib.processor import read_processor
from benchmarks.lib.program import errors_reported
from builder.progress import Progress
from builder.progress_bar import ProgressBar

_PROGRAM = "benchmarks/agent.py"
_PACKAGES = ("edgewright", "torch", "paho-mqtt", "psutil")
_RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "serve.toml"
_NETWORK, _INPUT_SIZE = "resnet18", 64
_SECTIONS: Mapping[str, Section] = {
    "idle": measure_idle,
    "overhead": measure_overhead,
    "coverage": measure_coverage,
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
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    help="How long to look at an agent at rest, and to time each process of the overhead. "
    "[default: 60 and 2, with --quick 10 and 0.5]",
)
@click.option(
    "--bundles",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Bundle set that the agents get. [default: a ResNet-18 with random weights]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".benchmarks/agent"),
    show_default=True,
    help="Folder for images and bundles; bundles that are there are used again.",
)
def command(
    *,
    quick: bool,
    as_json: bool,
    names: tuple[str, ...],
    seconds: float | None,
    bundles: Path | None,
    out: Path,
) -> None:
    """Measure what the agent itself costs: real agents, a real collector, real bundles."""
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    processor = read_processor()
    # For the builder; agents set it for their workers themselves.
    os.environ["OMP_NUM_THREADS"] = "1"
    findings: dict[str, Finding] = {}
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        bundles = bundles or _built(out, progress)
        for name in dict.fromkeys(names or _SECTIONS):
            with tempfile.TemporaryDirectory(prefix=f"edgewright-{name}-") as scratch:
                findings[name] = _SECTIONS[name](
                    Occasion(
                        bundles=bundles,
                        scratch=Path(scratch),
                        quick=quick,
                        seconds=seconds,
                        progress=progress,
                    )
                )
    print_findings(
        findings,
        started_at=started_at,
        processor=processor,
        packages=_PACKAGES,
        as_json=as_json,
    )


def _built(out: Path, progress: Progress) -> Path:
    folder = out / f"{_NETWORK}-{_INPUT_SIZE}"
    build_bundles(
        Order(
            architecture=_NETWORK,
            data=calibration_images(out / "photographs", 0),
            weights="none",
            recipe=str(_RECIPE),
            input_size=_INPUT_SIZE,
            seed=0,
            out=folder,
        ),
        progress,
    )
    return folder
