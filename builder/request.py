"""What was asked for: which networks, from what, under which rules, and where to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.data.standardization import Standardization
from builder.quantization.engine import Engine
from builder.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for every network of a build."""

    recipe: Recipe
    #: Side of the input; None takes each network's own.
    input_size: int | None
    #: Mean and deviation of the input; None takes each network's own.
    standardization: Standardization | None = None
    #: None leaves it to the recipe.
    finetune_epochs: int | None
    seed: int
    #: INT8 variants are made for each; the first is not named in theirs.
    engines: tuple[Engine, ...]
    #: Further input sizes in pixels, at which each variant is built too.
    resolutions: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What to build, from what, and where to."""

    architectures: tuple[str, ...]
    data: Path
    out: Path
    #: By architecture: `default`, `none` or a file.
    weights: Mapping[str, str]
    settings: Settings
    #: Images of the set's evaluation set: 0 for none, None for as many as it has, else 200.
    evalset: int | None = None
