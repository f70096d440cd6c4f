"""Log records that clients can cause without end: some a minute are written, and all are counted.

Whoever is refused comes again at once, and a thousand strangers must not fill the log.
"""

from __future__ import annotations

import logging
import threading

#: Records of one place in the code that are written in a period, before the others are counted.
BURST = 10
_PERIOD_S = 60.0


class RateLimit(logging.Filter):
    """Lets the first records of each place in the code through, and counts the others.

    At the end of the period the last one that was held back is written, with `more=` and how many
    there were besides. Places are told apart by file and line, of which there are only so many;
    messages hold what strangers say.
    """

    def __init__(self, *, period_s: float = _PERIOD_S) -> None:
        super().__init__()
        self._period_s = period_s
        self._lock = threading.Lock()
        #: How many came in the period that runs, and the last one.
        self._came: dict[tuple[str, int], tuple[int, logging.LogRecord]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write a record now."""
        if getattr(record, "ends_period", False):
            return True
        place = (record.pathname, record.lineno)
        with self._lock:
            count, _ = self._came.get(place, (0, record))
            self._came[place] = (count + 1, record)
        if not count:
            timer = threading.Timer(self._period_s, self._end_period, [place])
            timer.daemon = True
            timer.start()
        return count < BURST

    def _end_period(self, place: tuple[str, int]) -> None:
        with self._lock:
            count, last = self._came.pop(place)
        if count > BURST:
            _write_last(last, more=count - BURST - 1)


def rate_limited_logger(name: str) -> logging.Logger:
    """The logger of a module whose records clients can cause."""
    logger = logging.getLogger(name)
    if not any(isinstance(one, RateLimit) for one in logger.filters):
        logger.addFilter(RateLimit())
    return logger


def limit_libraries(handler: logging.Handler, ours: tuple[str, ...]) -> None:
    """Limit what a handler gets from all loggers but `ours`, and those below them.

    Libraries log for each connection that fails, and for each write to one that is lost.
    """
    limit = RateLimit()
    handler.addFilter(lambda record: record.name.partition(".")[0] in ours or limit.filter(record))


def _write_last(record: logging.LogRecord, *, more: int) -> None:
    if more:
        values = record.args if isinstance(record.args, tuple) else ()
        # Without values, a % in it is none's place.
        words = str(record.msg) if values else record.getMessage().replace("%", "%%")
        record.msg, record.args = f"{words} more=%d", (*values, more)
    record.ends_period = True
    logging.getLogger(record.name).handle(record)
