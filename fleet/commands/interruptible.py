"""Work that ends in order at Ctrl-C and SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fleet.commands.printing import print_lines
from fleet.deploy.interrupt import Interrupt

_Made = TypeVar("_Made")
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def until_done(work: Callable[[], _Made], interrupt: Interrupt) -> _Made:
    """What `work` returns; a signal sets `interrupt`, which it looks at, and stops it nowhere else.

    An exception in the middle of a step would leave a box in a state that nobody knows.
    """

    def on_signal(*_: object) -> None:
        if not interrupt.is_due:
            interrupt.request()
            print_lines(["Interrupted: what was begun is ended and taken back; wait."], err=True)

    before = {one: signal.getsignal(one) for one in _SIGNALS}
    for one, handler in before.items():
        # As nohup has it.
        if handler is not signal.SIG_IGN:
            signal.signal(one, on_signal)
    try:
        # Of another thread: the handlers run while this one waits for it.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(work).result()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
