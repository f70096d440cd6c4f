"""Formats log records as lines in which nobody's words act on a terminal or begin a line."""

from __future__ import annotations

import logging

from edgewright.terminal import LINE_CHARACTERS, visible
from edgewright.tracebacks import traceback_text


class LineFormatter(logging.Formatter):
    """One line a record, whoever logs it; a traceback stands below, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record."""
        record.message = record.getMessage()
        if self.usesTime():
            record.asctime = self.formatTime(record, self.datefmt)
        return visible(self.formatMessage(record).rstrip("\n"), LINE_CHARACTERS) + traceback_below(
            record
        )


def format_what_nobody_handles() -> None:
    """Let records be written like that, too, where a command has set no logging up."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(LineFormatter())


def traceback_below(record: logging.LogRecord) -> str:
    """The traceback of a record as further lines; empty where it has none."""
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else f"\n{traceback_text(error)}"
