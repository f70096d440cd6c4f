"""How the agent logs: `time=... level=... event=... key=value` on standard error."""

from __future__ import annotations

import logging
import shlex
import sys
import time
from pathlib import Path
from typing import Any

from agent.log_file import LogFileHandler
from edgewright.logging import traceback_below
from edgewright.rate_limit import limit_libraries
from edgewright.terminal import LINE_CHARACTERS, visible

#: Name under which a record carries its fields.
_FIELDS = "fields"
_OURS = ("agent", "contract", "edgewright")


def fields(**values: object) -> dict[str, Any]:
    """Fields of one log record: `log.info("run_stored", extra=fields(variant=name))`."""
    return {_FIELDS: values}


class KeyValueFormatter(logging.Formatter):
    """One line a record; `shlex` splits it again. Fields that are None are left out."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; its message is the event."""
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        pairs = {"time": stamp, "level": record.levelname.lower(), "event": record.getMessage()}
        pairs |= {k: v for k, v in getattr(record, _FIELDS, {}).items() if v is not None}
        line = " ".join(f"{key}={_quoted(value)}" for key, value in pairs.items())
        return line + traceback_below(record)


def start_logging(level: str, log_file: Path | None = None) -> None:
    """Send our log records of at least `level`, and warnings of libraries, where they belong.

    That is standard error, or a file.

    Raises:
        ConfigError: the file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if log_file is not None:
        handler = LogFileHandler(log_file)
    handler.setFormatter(KeyValueFormatter())
    limit_libraries(handler, ours=_OURS)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())


def _quoted(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    # Cut before it is quoted, for a quote has to end.
    return shlex.quote(visible(" ".join(text.split()), LINE_CHARACTERS))
