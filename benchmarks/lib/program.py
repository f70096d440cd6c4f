"""A benchmark as a program: started, or ended in one line that says what is missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

#: What the project itself brings: where one of these is not found, something is broken.
_OWN = frozenset({"", "agent", "benchmarks", "builder", "contract", "edgewright", "scripts"})


def run(module: str) -> None:
    """Run the command line that `module` has, or say in one line what to install."""
    program = f"benchmarks/{Path(sys.argv[0]).name}"
    try:
        importlib.import_module(module).command.main(prog_name=program)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OWN:
            raise
        sys.stderr.write(
            f"{program} needs the package '{missing}', which is not installed: "
            "pip install 'edgewright[bench]'\n"
        )
        raise SystemExit(2) from None


@contextlib.contextmanager
def errors_reported(program: str) -> Iterator[None]:
    """End with one line for what a person can do something about."""
    from builder.errors import BuilderError, UsageError  # noqa: PLC0415 - may lack a package
    from contract.errors import ContractError  # noqa: PLC0415 - likewise
    from contract.exits import Exit  # noqa: PLC0415 - likewise

    try:
        yield
    except UsageError as error:
        end(f"{program}: {error}", Exit.WRONG_USE)
    except (BuilderError, ContractError, OSError) as error:
        end(f"{program}: {error}", Exit.FAILED)


def end(message: str, code: int) -> NoReturn:
    """Say `message` and end."""
    sys.stderr.write(f"{message}\n")
    raise SystemExit(code)


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those of `packages` that are installed."""
    found = {}
    for name in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
