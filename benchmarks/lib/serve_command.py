"""The command line of `benchmarks/serve.py`."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console

from benchmarks.lib.bundles import Bundle, Order, build_bundles
from benchmarks.lib.photographs import calibration_images
from benchmarks.lib.processor import read_processor
from benchmarks.lib.program import errors_reported, versions
from benchmarks.lib.serve_report import Served, end_to_end_table, heading, parts_table
from benchmarks.lib.serving import free_cores, running, send
from builder.commands.printing import print_json, table_console
from builder.errors import BuilderError
from builder.progress_bar import ProgressBar
from contract.bundle import read_labels
from contract.manifest import Scheme

_PROGRAM = "benchmarks/serve.py"
_PACKAGES = ("edgewright", "torch", "pillow")
_RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "serve.toml"
_REQUESTS, _QUICK_REQUESTS = 500, 100
_WARM_UP = 20
_SIZES = ("500x375", "1280x960", "4032x3024")
_QUICK_SIZES = ("500x375", "1280x960")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="A hundred requests of two sizes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
@click.option("--network", default="resnet50", show_default=True, help="Network to serve.")
@click.option("--input-size", type=click.IntRange(min=8), default=224, show_default=True)
@click.option(
    "--photo",
    "sizes",
    metavar="WxH",
    multiple=True,
    help=f"Size of a photograph, may be repeated. [default: {' '.join(_SIZES)}]",
)
@click.option(
    "--requests",
    type=click.IntRange(min=2),
    help=f"Of each size. [default: {_REQUESTS}, with --quick {_QUICK_REQUESTS}]",
)
@click.option("--fast-decode", is_flag=True, help="As the option of 'edgewright-agent serve'.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".benchmarks/serve"),
    show_default=True,
    help="Folder for images and bundles; bundles that are there are used again.",
)
def command(
    *,
    quick: bool,
    as_json: bool,
    network: str,
    input_size: int,
    sizes: tuple[str, ...],
    requests: int | None,
    fast_decode: bool,
    seed: int,
    out: Path,
) -> None:
    """Serve a network in static INT8 on one core and time a client's requests, decoding included.

    The weights are random: arithmetic takes as long whatever their values are.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    # For the builder; the server sets it for its worker itself.
    os.environ["OMP_NUM_THREADS"] = "1"
    wanted = [_size(text) for text in sizes or (_QUICK_SIZES if quick else _SIZES)]
    requests = requests or (_QUICK_REQUESTS if quick else _REQUESTS)
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        built = build_bundles(
            Order(
                architecture=network,
                data=calibration_images(out / "photographs", seed),
                weights="none",
                recipe=str(_RECIPE),
                input_size=input_size,
                seed=seed,
                out=out / f"{network}-{input_size}",
            ),
            progress,
        )
        bundle = _quantized(built.bundles)
        core, client_cores = free_cores()
        processor = msgspec.structs.replace(read_processor(), core=core)
        name = bundle.member.variant
        with running(
            bundle.path.parent, name, core, client_cores, fast_decode=fast_decode
        ) as server:
            meter = server.meter(core)
            photographs = [
                send(
                    server,
                    size,
                    requests=requests,
                    warm_up=_WARM_UP,
                    seed=seed,
                    progress=progress,
                )
                for size in wanted
            ]
            served = Served(
                started_at=started_at,
                processor=processor,
                versions=versions(_PACKAGES),
                network=network,
                variant=name,
                fast_decode=fast_decode,
                labels=len(read_labels(bundle.path)),
                foreign_share=meter.foreign_share(),
                shares_core=core in client_cores,
                server_rss_bytes=server.process.memory_info().rss,
                worker_rss_bytes=server.worker.memory_info().rss,
                photographs=photographs,
            )
    if as_json:
        print_json(served)
        return
    console = table_console()
    for line in heading(served):
        console.print(line, markup=False, highlight=False)
    console.print(end_to_end_table(served))
    console.print(parts_table(served))


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{2,5})x(\d{2,5})", text)
    if found is None:
        message = f"expected WIDTHxHEIGHT such as 1280x960, got '{text}'"
        raise click.BadParameter(message, param_hint="--photo")
    return int(found[1]), int(found[2])


def _quantized(bundles: tuple[Bundle, ...]) -> Bundle:
    for bundle in bundles:
        if bundle.manifest.quantization.scheme is Scheme.STATIC_INT8:
            return bundle
    message = "static INT8 could not be built on this host; see 'edgewright-builder build'"
    raise BuilderError(message)
