"""Connections of a server: how many there may be, of one address too, and who waits for whom.

They are counted from their acceptance on, before a TLS handshake; servers see them only after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Self

import msgspec

from edgewright.rate_limit import rate_limited_logger

_log = rate_limited_logger(__name__)

#: What one customer gets, and can take any address of.
_IPV6_NETWORK_BITS = 64


class ConnectionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How many connections there may be, and how long a stranger may take."""

    #: From the connection, or a later request's first byte, to the end of what says who asks for
    #: what; the TLS handshake has as much.
    head_s: float = 10.0
    #: Connections; one more takes the place of the one that has waited longest for its client.
    connections: int = 512
    #: Of these, connections of one IPv4 address or IPv6 /64; None where a proxy stands in front.
    per_address: int | None = 64


class AcceptedSocket(socket.socket):
    """A connection's socket, which says when it is closed."""

    address = ""
    #: Who has proven to be at the other end; None as long as nobody has.
    account: str | None = None
    number = -1
    timer: asyncio.TimerHandle | None = None
    on_close: Callable[[AcceptedSocket], None] | None = None
    #: Ends the connection at once.
    abort: Callable[[], None]

    def close(self) -> None:
        """Close it, and tell whoever counts it."""
        super().close()
        told, self.on_close = self.on_close, None
        if told is not None:
            told(self)

    def cut(self) -> None:
        """End it while nobody but the event loop holds it: during the TLS handshake."""
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)


class Connections:
    """All connections of one server, from their acceptance on."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._open: dict[int, AcceptedSocket] = {}
        self._of_address: Counter[str] = Counter()
        self._of_account: Counter[str] = Counter()
        #: Those that wait for their client, as keys; who has waited longest comes first.
        self._waiting: dict[int, None] = {}
        self._answering: set[int] = set()

    def admit(self, accepted: AcceptedSocket, host: str) -> bool:
        """Count a connection in; False where it has to go."""
        address = _network_of(host)
        at_most = self.limits.per_address
        if at_most is not None and self._of_address[address] >= at_most:
            _log.warning("connections refused address=%s at_most=%d", address, at_most)
            return False
        if len(self._open) >= self.limits.connections:
            if not self._waiting:
                _log.warning("connections refused at_most=%d", self.limits.connections)
                return False
            longest = next(iter(self._waiting))
            # It is closed at a later turn of the loop, and more may come in this one.
            del self._waiting[longest]
            self._open[longest].abort()
        accepted.number, accepted.address = accepted.fileno(), address
        accepted.abort, accepted.on_close = accepted.cut, self._forget
        self._open[accepted.number] = accepted
        self._of_address[address] += 1
        self._waiting[accepted.number] = None
        loop = asyncio.get_running_loop()
        accepted.timer = loop.call_later(self.limits.head_s, accepted.cut)
        return True

    def found(self, transport: asyncio.Transport) -> AcceptedSocket:
        """The connection of a transport, whose handshake is over."""
        accepted = self._open[transport.get_extra_info("socket").fileno()]
        if accepted.timer is not None:
            accepted.timer.cancel()
        accepted.abort = transport.abort
        return accepted

    def note(self, accepted: AcceptedSocket, *, is_answering: bool) -> None:
        """Note whether its request is being answered; else it waits for its client."""
        number = accepted.number
        if accepted.on_close is None or (number in self._answering) is is_answering:
            return
        if is_answering:
            self._waiting.pop(number, None)
            self._answering.add(number)
        else:
            self._answering.discard(number)
            self._waiting[number] = None

    def assign(self, accepted: AcceptedSocket, account: str) -> None:
        """Count a connection as an account's, until its socket is closed."""
        if accepted.on_close is not None:
            accepted.account = account
            self._of_account[account] += 1

    def of_account(self, account: str) -> int:
        """How many connections an account has, those among them that are ending."""
        return self._of_account[account]

    @property
    def answering(self) -> int:
        """Connections that do not wait for their client."""
        return len(self._answering)

    def _forget(self, accepted: AcceptedSocket) -> None:
        if accepted.timer is not None:
            accepted.timer.cancel()
        del self._open[accepted.number]
        self._waiting.pop(accepted.number, None)
        self._answering.discard(accepted.number)
        _count_out(self._of_address, accepted.address)
        if accepted.account is not None:
            _count_out(self._of_account, accepted.account)


class LimitedListener(socket.socket):
    """Accepts the connections that the limits allow; others are closed at once."""

    connections: Connections

    @classmethod
    def of(cls, listener: socket.socket, connections: Connections) -> Self:
        """Take over a socket that is bound."""
        limited = cls(listener.family, listener.type, listener.proto, fileno=listener.detach())
        limited.connections = connections
        return limited

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection.

        Raises:
            ConnectionAbortedError: it was one too many; event loops go on at their next turn.
        """
        taken, peer = super().accept()
        accepted = AcceptedSocket(taken.family, taken.type, taken.proto, fileno=taken.detach())
        if not self.connections.admit(accepted, peer[0]):
            accepted.close()
            raise ConnectionAbortedError
        return accepted, peer


def _count_out(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _network_of(host: str) -> str:
    """What counts as one address: of IPv6 a whole /64."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address), _IPV6_NETWORK_BITS), strict=False))
