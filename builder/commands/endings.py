"""How a command ends where it cannot go on: one line on stderr, and an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

from builder.errors import BuilderError, UsageError, plain_words
from contract.errors import ContractError
from contract.exits import Exit
from edgewright.command_line import complain as complain_as

_GOES_ON = "stopped; what was finished is kept, and a rerun goes on from there"


@contextlib.contextmanager
def errors_reported(*, when_stopped: str = _GOES_ON) -> Iterator[None]:
    """End the program with one line and an exit code where the block raises what was foreseen.

    Args:
        when_stopped: what to say after Ctrl-C.
    """
    try:
        yield
    except UsageError as error:
        _fail(str(error), Exit.WRONG_USE)
    except (BuilderError, ContractError, OSError) as error:
        _fail(plain_words(error), Exit.FAILED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "builder", "contract", "edgewright"}:
            raise
        message = f"needs the package '{missing}': pip install 'edgewright[builder]'"
        _fail(message, Exit.WRONG_USE)
    except KeyboardInterrupt:
        _fail(when_stopped, Exit.FAILED)


def _fail(message: str, code: Exit) -> NoReturn:
    complain(message)
    sys.exit(code)


def complain(message: str) -> None:
    """Say `message` on stderr, in this program's name."""
    complain_as("edgewright-builder", message)
