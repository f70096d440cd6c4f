"""Start a command line, or say in one line which extra is missing."""

from __future__ import annotations

import importlib
import io
import sys
from typing import NoReturn

from edgewright.logging import format_what_nobody_handles
from edgewright.tracebacks import show_uncaught_safely

_OURS = frozenset({"contract", "edgewright", "builder", "agent", "fleet"})


def launch(module: str, *, extra: str) -> None:
    """Import `module` and call its `main()`.

    A missing third-party package ends the process with exit code 2 and one line that names
    the extra to install; a missing module of our own is a bug and stays a traceback.
    """
    show_uncaught_safely()
    format_what_nobody_handles()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal's encoding lacks is no reason to end.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command_line = importlib.import_module(module)
    except ModuleNotFoundError as error:
        _tell_missing(error, extra)
    except KeyboardInterrupt:
        # Nothing was begun yet, so that nothing is to be said of it.
        raise SystemExit(1) from None
    try:
        command_line.main()
    except ModuleNotFoundError as error:
        # Commands may be imported when they are asked for.
        _tell_missing(error, extra)


def _tell_missing(error: ModuleNotFoundError, extra: str) -> NoReturn:
    missing = (error.name or "").partition(".")[0]
    if not missing or missing in _OURS:
        raise error
    sys.stderr.write(
        f"edgewright-{extra} needs the package '{missing}', which is not installed: "
        f"pip install 'edgewright[{extra}]'\n",
    )
    raise SystemExit(2) from None
