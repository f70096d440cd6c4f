"""The command line of `benchmarks/builder.py`.

Torch and the others take seconds to import and start threads as they do, so they are imported
after this process was held to one core.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.lib.choices import Choices, Part
from benchmarks.lib.contender import Framework, split_installed
from benchmarks.lib.processor import keep_to_one_core
from benchmarks.lib.program import end, errors_reported, versions
from benchmarks.lib.report import Report, Section
from benchmarks.lib.rounds import Pace
from benchmarks.lib.tables import heading, remarks, tables
from builder.commands.printing import print_json, table_console
from builder.progress_bar import ProgressBar
from contract.exits import Exit

_PROGRAM = "benchmarks/builder.py"
_PACKAGES = ("edgewright", "torch", "onnxruntime", "openvino", "nncf")
_ROUNDS, _QUICK_ROUNDS = 25, 8
_EPOCHS, _QUICK_EPOCHS = 6, 2


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="ResNet-18 alone and few rounds: about two minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
@click.option(
    "--only",
    "parts",
    type=click.Choice([part.value for part in Part]),
    multiple=True,
    help="One of the two parts. [default: both]",
)
@click.option(
    "--against",
    default="onnxruntime,openvino",
    show_default=True,
    help="Whose engines to compare with, or none.",
)
@click.option(
    "--networks",
    help="Networks of the speed part. [default: vgg19,resnet18,resnet50]",
)
@click.option(
    "--input-size",
    type=click.IntRange(min=8),
    default=224,
    show_default=True,
    help="Input of the speed part.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with train/ and val/ for the accuracy part. [default: scikit-learn's digits]",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="State dict for the accuracy part. [default: trained here, once, and kept in --out]",
)
@click.option(
    "--accuracy-network",
    default="resnet18",
    show_default=True,
    help="Network of the accuracy part, which --weights are for.",
)
@click.option(
    "--accuracy-input-size",
    type=click.IntRange(min=8),
    help="Input of the accuracy part. [default: 32 for the digits, 224 for --data]",
)
@click.option(
    "--recipe",
    help="Recipe of the accuracy part. [default: benchmarks/recipes/accuracy.toml]",
)
@click.option("--rounds", type=click.IntRange(min=1), help="[default: 25, with --quick 8]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".benchmarks/builder"),
    show_default=True,
    help="Folder for images, weights and bundles; bundles that are there are used again.",
)
def command(
    *,
    quick: bool,
    as_json: bool,
    parts: tuple[str, ...],
    against: str,
    networks: str | None,
    input_size: int,
    data: Path | None,
    weights: Path | None,
    accuracy_network: str,
    accuracy_input_size: int | None,
    recipe: str | None,
    rounds: int | None,
    seed: int,
    out: Path,
) -> None:
    """Measure the builder's variants beside ONNX Runtime and OpenVINO on one core.

    Speed: random weights at --input-size. Accuracy: real images, and the same figures for
    that network at its own input size. Every ratio that was measured is printed.
    """
    others, left_out = split_installed(_frameworks(against))
    if left_out and not others:
        end(
            f"{_PROGRAM} compares with packages that are not installed: "
            "pip install 'edgewright[bench]', or leave them out by --against none",
            Exit.WRONG_USE,
        )
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    processor = keep_to_one_core()
    # Read by the libraries as they are imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    usual_networks = "resnet18" if quick else "vgg19,resnet18,resnet50"
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        choices = Choices(
            parts=tuple(Part(part) for part in parts) or tuple(Part),
            networks=tuple((networks or usual_networks).split(",")),
            input_size=input_size,
            data=data,
            weights=weights,
            accuracy_network=accuracy_network,
            accuracy_input_size=accuracy_input_size,
            recipe=recipe,
            against=tuple(others),
            pace=Pace(rounds=rounds or (_QUICK_ROUNDS if quick else _ROUNDS)),
            training_epochs=_QUICK_EPOCHS if quick else _EPOCHS,
            seed=seed,
            out=out,
            has_int8_dot_products=processor.has_int8_dot_products,
            progress=progress,
        )
        sections = list(_sections(choices))
    report = Report(
        started_at=started_at,
        processor=processor,
        versions=versions(_PACKAGES),
        left_out={str(framework): reason for framework, reason in left_out.items()},
        sections=sections,
    )
    if as_json:
        print_json(report)
    else:
        _print(report)


def _sections(choices: Choices) -> Iterator[Section]:
    from benchmarks.lib.questions import questions  # noqa: PLC0415 - imports torch
    from benchmarks.lib.section import measure  # noqa: PLC0415 - imports torch

    # Torch and the others tell of deprecations that the ADR on formats deals with.
    warnings.simplefilter("ignore")
    for question in questions(choices):
        yield measure(question)


def _frameworks(text: str) -> list[Framework]:
    if text == "none":
        return []
    known = [framework for framework in Framework if framework is not Framework.EDGEWRIGHT]
    names = text.split(",")
    strangers = [name for name in names if name not in known]
    if strangers:
        message = f"{', '.join(strangers)}: expected none, or some of {', '.join(known)}"
        raise click.BadParameter(message, param_hint="--against")
    return [Framework(name) for name in dict.fromkeys(names)]


def _print(report: Report) -> None:
    console = table_console()
    for line in heading(report):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for section in report.sections:
        console.print()
        for table in tables(section):
            console.print(table)
        for line in remarks(section):
            console.print(line, highlight=False, markup=False, soft_wrap=True)
