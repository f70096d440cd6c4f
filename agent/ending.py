"""How the agent's commands end: by a signal, or with a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import IO

from agent.errors import AgentError, ConfigError
from contract.errors import ContractError
from contract.exits import Exit
from edgewright.command_line import complain


def stop_on_signals(on_stop: Callable[[], None] = lambda: None) -> threading.Event:
    """Event that SIGTERM and SIGINT set; `on_stop` is called from their handler then."""
    stop = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()
        on_stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return stop


def stop_at_end_of(pipe: IO[bytes], stop: threading.Event) -> None:
    """Set `stop` once nobody holds the pipe's other end: whoever started this process is gone."""

    def wait() -> None:
        while os.read(pipe.fileno(), 1):
            pass
        stop.set()

    threading.Thread(target=wait, daemon=True).start()


@contextlib.contextmanager
def clear_errors() -> Iterator[None]:
    """End with an exit code and the error's own sentence instead of a traceback."""
    try:
        yield
    except (AgentError, ContractError) as error:
        complain("edgewright-agent", str(error))
        sys.exit(Exit.WRONG_USE if isinstance(error, ConfigError) else Exit.FAILED)
