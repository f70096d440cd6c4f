"""How the agent logs: `time level event key=value ...` on standard error."""

from __future__ import annotations

import logging
import sys
import time

_FORMAT = "%(asctime)sZ %(levelname)s %(message)s"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S"


class _UtcFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)


def start_logging(level: str) -> None:
    """Send the agent's log records of at least `level` to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_UtcFormatter(_FORMAT, _TIME_FORMAT))
    logger = logging.getLogger("agent")
    logger.handlers[:] = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
