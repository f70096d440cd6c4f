"""The command line `edgewright-builder`: reads arguments, prints, and decides the exit code.

Torch takes seconds to import, so it is imported inside the commands that work with it.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from builder.errors import BuilderError, UsageError
from builder.outcome import Outcome, Status
from builder.progress_bar import ProgressBar
from builder.recipe import load_recipe, shipped_recipes
from builder.tables import accuracy_text, block_table, manifest_table, outcome_table, set_table
from contract.bundle import read_manifest
from contract.bundleset import Member, read_set, verify_member
from contract.errors import BundleError, ContractError
from contract.exits import Exit
from contract.files import sha256_of
from contract.manifest import Manifest

_ENGINES = ("x86", "qnnpack")
_PIPE_WIDTH = 120

_data = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder with train/ and val/, a folder per class in each; or one flat folder of images.",
)
_input_size = click.option(
    "--input-size",
    type=click.IntRange(min=8),
    metavar="PX",
    help="Side of the input. [default: the network's own, 224 for most]",
)
_seed = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random weights, shuffling and calibration are drawn from it.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("-v", "--verbose", is_flag=True, help="Say what is decided on the way.")
@click.version_option(package_name="edgewright")
@click.pass_context
def cli(context: click.Context, /, *, verbose: bool) -> None:
    """Turn one image classifier into many variants for edge boxes.

    ARCH is a torchvision classification network (resnet18, vgg19, inception_v3, ...) or
    package.module:factory for an nn.Module of your own; it is imported from the present
    folder or from what is installed, and may take num_classes.

    Exit codes: 0 done, 1 failed (also where a single variant could not be built), 2 wrong use.
    """
    # One console for bars, lines and the log, so that they do not write into each other.
    context.obj = Console(stderr=True)
    handler = RichHandler(console=context.obj, show_time=False, show_path=False)
    logging.basicConfig(format="%(message)s", handlers=[handler])
    logging.captureWarnings(capture=True)
    logging.getLogger("builder").setLevel(logging.INFO if verbose else logging.WARNING)


@cli.command()
@click.argument("architecture", metavar="ARCH")
@_data
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Passes over train/.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the state dict.",
)
@_input_size
@click.option(
    "--weights",
    default="none",
    show_default=True,
    metavar="none|default|FILE",
    help="What to start from: random, torchvision's ImageNet weights, or a state dict. "
    "The last layer is made anew where the classes differ.",
)
@click.option("--batch-size", type=click.IntRange(min=2), default=32, show_default=True)
@click.option(
    "--lr",
    type=click.FloatRange(min=0, min_open=True),
    default=5e-4,
    show_default=True,
    help="Peak learning rate (AdamW, one cycle).",
)
@_seed
@_json
@click.pass_obj
def train(
    console: Console,
    /,
    *,
    architecture: str,
    data: Path,
    epochs: int,
    out: Path,
    input_size: int | None,
    weights: str,
    batch_size: int,
    lr: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train a network on DIR/train and measure it on DIR/val."""
    with _errors_reported():
        from builder import training  # noqa: PLC0415 - imports torch

    request = training.TrainRequest(
        architecture=architecture,
        data=data,
        out=out,
        weights=weights,
        input_size=input_size,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        seed=seed,
    )
    with _errors_reported(), ProgressBar(console) as progress:
        trained = training.train(request, search_path=Path.cwd(), progress=progress)
    if as_json:
        _print_json(trained)
    else:
        click.echo(
            f"{trained.file}: {trained.architecture}, {trained.parameters:,} parameters, "
            f"{accuracy_text(trained.accuracy)}"
        )


@cli.command()
@click.argument("architectures", metavar="ARCH...", nargs=-1, required=True)
@_data
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the bundle set; what it holds is kept, finished variants are reused.",
)
@click.option(
    "--weights",
    default="default",
    show_default=True,
    metavar="default|none|FILE",
    help="Torchvision's ImageNet weights, random ones (with an output for each folder of "
    "train/), or a state dict as 'train --out' writes it.",
)
@click.option(
    "--recipe",
    default="edgewright",
    show_default=True,
    metavar="NAME|FILE.toml",
    help=f"Which variants: {', '.join(shipped_recipes())}, or a file of the same form.",
)
@_input_size
@click.option(
    "--finetune-epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Epochs of fine-tuning after pruning. [default: the recipe's, 1]",
)
@_seed
@click.option(
    "--engine",
    type=click.Choice(_ENGINES),
    help="INT8 kernels to prepare for. [default: qnnpack on ARM, else x86]",
)
@_json
@click.pass_obj
def build(
    console: Console,
    /,
    *,
    architectures: tuple[str, ...],
    data: Path,
    out: Path,
    weights: str,
    recipe: str,
    input_size: int | None,
    finetune_epochs: int | None,
    seed: int,
    engine: str | None,
    as_json: bool,
) -> None:
    """Build the recipe's variants of each ARCH into one bundle set.

    The base of the first ARCH is what the set's speed-ups and accuracy drops refer to. A
    variant that cannot be built is reported and the others are still built; the exit code is
    then 1.
    """
    with _errors_reported():
        chosen_recipe = load_recipe(recipe)
        from builder.pipeline import BuildRequest, build_set  # noqa: PLC0415 - imports torch
        from builder.planning import Settings  # noqa: PLC0415 - imports torch
        from builder.quantization.engine import Engine, host_engine  # noqa: PLC0415 - imports torch

    request = BuildRequest(
        architectures=architectures,
        data=data,
        out=out,
        weights=weights,
        settings=Settings(
            recipe=chosen_recipe,
            input_size=input_size,
            finetune_epochs=finetune_epochs,
            seed=seed,
            engine=host_engine() if engine is None else Engine(engine),
        ),
    )
    outcomes: list[Outcome] = []
    with _errors_reported(), ProgressBar(console) as progress:
        for outcome in build_set(
            request, search_path=Path.cwd(), now=lambda: datetime.now(UTC), progress=progress
        ):
            outcomes.append(outcome)
            console.print(_line(outcome), highlight=False, soft_wrap=True)
    if as_json:
        _print_json([_document(o.member, o.manifest) for o in outcomes if o.member and o.manifest])
    else:
        _table_console().print(outcome_table(outcomes))
    if not all(outcome.exists for outcome in outcomes):
        sys.exit(Exit.FAILED)


@cli.command("list")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@_json
def list_set(*, folder: Path, as_json: bool) -> None:
    """List the bundles of the set in DIR, each checked against its SHA-256."""
    rows: list[tuple[Member, Manifest]] = []
    damaged = False
    with _errors_reported():
        bundle_set = read_set(folder)
        for member in bundle_set.members:
            try:
                rows.append((member, read_manifest(verify_member(folder, member))))
            except BundleError as error:
                damaged = True
                _complain(str(error))
    if as_json:
        _print_json([_document(member, manifest) for member, manifest in rows])
    else:
        _table_console().print(set_table(rows, bundle_set.baseline))
    if damaged:
        sys.exit(Exit.FAILED)


@cli.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@_json
def inspect(*, file: Path, as_json: bool) -> None:
    """Show a bundle's manifest, and parameters, bytes and MACs per block."""
    with _errors_reported():
        manifest = read_manifest(file)
        size = file.stat().st_size
        if as_json:
            member = Member(
                variant=manifest.variant, file=file.name, bytes=size, sha256=sha256_of(file)
            )
            _print_json(_document(member, manifest))
            return
    console = _table_console()
    console.print(manifest_table(manifest, size))
    console.print(block_table(manifest))


def main() -> None:
    """Run the command line."""
    # A scratch file that is being written is removed on the way out.
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(Exit.FAILED))
    cli.main(prog_name="edgewright-builder")


@contextlib.contextmanager
def _errors_reported() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        _fail(str(error), Exit.WRONG_USE)
    except (BuilderError, ContractError, OSError) as error:
        _fail(str(error), Exit.FAILED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "builder", "contract"}:
            raise
        message = f"needs the package '{missing}': pip install 'edgewright[builder]'"
        _fail(message, Exit.WRONG_USE)
    except KeyboardInterrupt:
        _fail("stopped; what was finished is kept, and a rerun goes on from there", Exit.FAILED)


def _fail(message: str, code: Exit) -> NoReturn:
    _complain(message)
    sys.exit(code)


def _complain(message: str) -> None:
    click.echo(f"edgewright-builder: {message}", err=True)


def _table_console() -> Console:
    """Make a console that does not cut tables short in a pipe, whose width nobody knows."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def _line(outcome: Outcome) -> str:
    colour = {Status.FAILED: "red", Status.UNSUPPORTED: "yellow"}.get(outcome.status, "green")
    text = f"[{colour}]{outcome.status:>11}[/] {outcome.variant}"
    return text if outcome.reason is None else f"{text}: {escape(outcome.reason)}"


def _document(member: Member, manifest: Manifest) -> dict[str, object]:
    own = msgspec.to_builtins(member)
    return {**msgspec.to_builtins(manifest), **own}


def _print_json(document: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
