"""What `build` and `search` are both told: their common options, and the request they make."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
import msgspec

from builder.commands.data import data_folder
from builder.commands.endings import errors_reported
from builder.commands.options import (
    asked_standardization,
    data_option,
    input_size_option,
    mean_option,
    seed_option,
    std_option,
)
from builder.commands.weights import weights_by_architecture, weights_option
from builder.data.standardization import Channels
from builder.recipe import EngineName, Recipe, load_recipe, shipped_recipes
from contract.evalset import MAX_EVALSET_IMAGES
from edgewright.console import Console

if TYPE_CHECKING:
    from builder.request import BuildRequest

_ENGINE_DEFAULT = "[default: qnnpack on ARM, else x86]"

Command = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """How variants are made, whether those of a recipe or those of a search."""

    architectures: tuple[str, ...]
    data: Path
    out: Path
    weights: tuple[str, ...]
    recipe: str
    input_size: int | None
    mean: Channels | None
    std: Channels | None
    resolutions: tuple[int, ...]
    finetune_epochs: int | None
    mirror: bool
    seed: int
    engines: tuple[str, ...]
    evalset: int | None

    def request(self, console: Console) -> BuildRequest:
        """Make the request; where it cannot be meant the program ends with the reason."""
        standardization = asked_standardization(self.mean, self.std)
        with errors_reported():
            recipe = _with_mirror(load_recipe(self.recipe), mirror=self.mirror)
            from builder.quantization.engine import (  # noqa: PLC0415 - imports torch
                Engine,
                host_engine,
            )
            from builder.request import BuildRequest, Settings  # noqa: PLC0415 - imports torch
        return BuildRequest(
            architectures=self.architectures,
            data=data_folder(self.data, console),
            out=self.out,
            weights=weights_by_architecture(self.architectures, self.weights),
            settings=Settings(
                recipe=recipe,
                input_size=self.input_size,
                standardization=standardization,
                finetune_epochs=self.finetune_epochs,
                seed=self.seed,
                engines=tuple(Engine(name) for name in dict.fromkeys(self.engines))
                or (host_engine(),),
                resolutions=tuple(dict.fromkeys(self.resolutions)),
            ),
            evalset=self.evalset,
        )


def build_options(
    *, recipe: str, recipe_help: str, resolution_help: str, many_engines: bool
) -> Callable[[Command], Command]:
    """Give a command the options of `BuildOptions`, which it takes as `options`.

    Args:
        recipe: the default of `--recipe`.
        recipe_help: what the recipe is used for; the names of the shipped ones are added.
        resolution_help: what `--resolution` does.
        many_engines: whether `--engine` may be given several times.
    """
    decorators = [
        click.argument("architectures", metavar="ARCH...", nargs=-1, required=True),
        data_option,
        click.option(
            "--out",
            required=True,
            type=click.Path(path_type=Path, file_okay=False),
            help="Folder of the bundle set; what it holds is kept, finished variants are reused.",
        ),
        weights_option,
        click.option(
            "--recipe",
            default=recipe,
            show_default=True,
            metavar="NAME|FILE.toml",
            help=f"{recipe_help}: {', '.join(shipped_recipes())}, or a file of the same form.",
        ),
        input_size_option,
        mean_option,
        std_option,
        click.option(
            "--resolution",
            "resolutions",
            multiple=True,
            type=click.IntRange(min=8),
            metavar="PX",
            help=resolution_help,
        ),
        click.option(
            "--finetune-epochs",
            type=click.IntRange(min=0),
            metavar="N",
            help="Epochs of tuning after pruning; 0 tunes nothing. [default: the recipe's]",
        ),
        click.option(
            "--mirror",
            is_flag=True,
            help="Tune on mirrored images too: what is seen may face either way. Not for digits "
            "or text.",
        ),
        seed_option,
        _many_engines_option if many_engines else _one_engine_option,
        click.option(
            "--evalset",
            type=click.IntRange(0, MAX_EVALSET_IMAGES),
            metavar="N",
            help="Validation images to put into the set, so that devices measure accuracy "
            "themselves; 0: none. [default: as many as the set has, else 200]",
        ),
    ]

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def with_options(*arguments: object, **values: object) -> None:
            names = [field.name for field in dataclasses.fields(BuildOptions)]
            common: dict[str, object] = {name: values.pop(name) for name in names}
            # Click has checked the types of what it hands over.
            options = BuildOptions(**common)  # type: ignore[arg-type]
            command(*arguments, options=options, **values)

        wrapped: Command = with_options
        # Click lists what was decorated last first.
        for decorator in reversed(decorators):
            wrapped = decorator(wrapped)
        return wrapped

    return decorate


def _only_one(
    context: click.Context, option: click.Parameter, engines: tuple[str, ...]
) -> tuple[str, ...]:
    if len(set(engines)) > 1:
        message = "a search is for one; search again into another folder for the next"
        raise click.BadParameter(message, context, option)
    return engines


_many_engines_option = click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(get_args(EngineName)),
    help="INT8 kernels to prepare for; give it again for each further target, whose variants "
    f"then bear its name. {_ENGINE_DEFAULT}",
)
_one_engine_option = click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(get_args(EngineName)),
    callback=_only_one,
    help=f"INT8 kernels to prepare for. {_ENGINE_DEFAULT}",
)


def _with_mirror(recipe: Recipe, *, mirror: bool) -> Recipe:
    if not mirror:
        return recipe
    tuning = msgspec.structs.replace(recipe.tuning, mirror=True)
    return msgspec.structs.replace(recipe, tuning=tuning)
