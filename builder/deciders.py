"""What of the program itself decides what is made: versions, and its sources stage by stage.

What was made is taken up again where nothing that decides it has changed. Between two releases
the program itself changes too, and the version does not tell. What only plans, counts, shows or
reports is left out, so that what took hours is not made anew for the sake of a table.

Whole folders count, comments included: to make something once too often costs minutes, to take
up what another method made costs a wrong result.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib.metadata
from pathlib import Path

import torch

from builder.networks import vision

_PROGRAM = Path(__file__).resolve().parents[1]
#: Top-1 is what retries go by and what a manifest says.
_ACCURACY = ("builder/measuring/accuracy.py", "builder/measuring/evaluation.py")


class Stage(enum.Enum):
    """A stage on the way to a measured bundle, and the sources that decide its result."""

    #: The network as it comes, and how images become its input.
    NETWORK = ("builder/networks", "builder/data", "contract/preprocess.py")
    #: The recipe divides pruning into rounds, and says at which rate to tune.
    PRUNING = ("builder/pruning", "builder/stems", "builder/recipe.py")
    TUNING = ("builder/tuning", "builder/stems", "builder/recipe.py", *_ACCURACY)
    QUANTIZATION = ("builder/quantization", "builder/quantizing.py", *_ACCURACY)
    BUNDLE = ("builder/bundles", "builder/network_build.py", *_ACCURACY)
    #: What a search measures besides.
    TIMING = ("builder/measuring",)


def versions() -> dict[str, str]:
    """Versions of everything that decides what a build makes."""
    return {
        "edgewright": importlib.metadata.version("edgewright"),
        "torch": str(torch.__version__),
        "torchvision": vision.version(),
        "torch-pruning": importlib.metadata.version("torch-pruning"),
    }


@functools.cache
def sources_sha256(stage: Stage, program: Path = _PROGRAM) -> str:
    """SHA-256 over the names and contents of the sources that decide a stage's result.

    Args:
        stage: which stage.
        program: folder of the packages `builder` and `contract`.

    Raises:
        OSError: a source file cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(stage, program)):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(program).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def _files(stage: Stage, program: Path) -> set[Path]:
    files: set[Path] = set()
    for name in stage.value:
        source = program / name
        files |= {source} if source.is_file() else set(source.rglob("*.py"))
    return files
