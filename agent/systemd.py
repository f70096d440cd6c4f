"""Tells systemd how the agent is: sd_notify in a few lines, as sd_notify(3) describes it.

Without a supervisor that asked for it (`NOTIFY_SOCKET` is not set), nothing is sent.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Mapping

from agent.logs import fields

_log = logging.getLogger(__name__)

_SECOND_US = 1_000_000


class Notifier:
    """The socket of a supervisor, or nothing.

    Args:
        address: path of a datagram socket; `@` in front means the abstract name space.
        watchdog_s: how long the supervisor waits for the next `alive`; None if it does not.
    """

    def __init__(self, address: str | None, *, watchdog_s: float | None = None) -> None:
        self._address = None if address is None else _as_kernel_names_it(address)
        self.watchdog_s = None if address is None else watchdog_s
        self._status = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], *, pid: int) -> Notifier:
        """Notifier of the supervisor that started this process, if there is one.

        Args:
            environment: usually `os.environ`.
            pid: this process; the watchdog may be meant for another one.
        """
        watchdog_us = environment.get("WATCHDOG_USEC", "")
        is_ours = environment.get("WATCHDOG_PID", str(pid)) == str(pid)
        asked = watchdog_us.isdecimal() and int(watchdog_us) > 0 and is_ours
        return cls(
            environment.get("NOTIFY_SOCKET") or None,
            watchdog_s=int(watchdog_us) / _SECOND_US if asked else None,
        )

    def ready(self) -> None:
        """Say that starting is over."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in one line what is going on; the same line is not sent twice."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def alive(self) -> None:
        """Put off the watchdog once more."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that the end has begun."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if self._address is None:
            return
        try:
            with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
                # A supervisor that does not read must not hold up the agent.
                line.settimeout(0.0)
                line.sendto(message.encode(), self._address)
        except OSError as error:
            _log.warning("supervisor_not_told", extra=fields(message=message, error=error))


def _as_kernel_names_it(address: str) -> str:
    return "\0" + address[1:] if address.startswith("@") else address
