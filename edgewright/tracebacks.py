"""Shows uncaught errors, whose words may be strangers', without what a terminal acts on."""

from __future__ import annotations

import sys
import threading
import traceback
from types import TracebackType

from edgewright.terminal import visible_lines

_INDENT = "  "


def traceback_text(error: BaseException) -> str:
    """Traceback of `error`, indented: no line of it can pass for one that begins at the left."""
    text = "".join(traceback.format_exception(error)).rstrip("\n")
    return "\n".join(f"{_INDENT}{line}" for line in visible_lines(text))


def show_uncaught_safely() -> None:
    """Let errors that nobody catches, in any thread, be written to standard error like that."""
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_uncaught_in_thread


def _on_uncaught(
    _kind: type[BaseException], error: BaseException, _traceback: TracebackType | None
) -> None:
    sys.stderr.write(f"{traceback_text(error)}\n")


def _on_uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is None or isinstance(found.exc_value, SystemExit):
        return
    name = found.thread.name if found.thread is not None else "?"
    sys.stderr.write(f"Exception in thread {name}:\n{traceback_text(found.exc_value)}\n")
