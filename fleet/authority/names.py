"""By which names and addresses this machine is reached."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket

import psutil

from fleet.errors import AddressError

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_HOST_NAME_CHARACTERS = 253
#: Of the block for documentation (RFC 5737): asks which way leads out; nothing is sent.
_ELSEWHERE = ("192.0.2.1", 9)


def check_host(name: str) -> str:
    """Return a host name or address in its usual form.

    Raises:
        AddressError: it is neither; wildcards are not taken.
    """
    with contextlib.suppress(ValueError):
        return str(ipaddress.ip_address(name.strip("[]")))
    lowered = name.lower()
    if len(name) > _HOST_NAME_CHARACTERS or _HOST_NAME.fullmatch(lowered) is None:
        message = f"name '{name[:80]}': expected a host name or an IP address, without a port"
        raise AddressError(message)
    return lowered


def is_address(host: str) -> bool:
    """Whether a host is an IP address and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def names_of_this_machine() -> set[str]:
    """Its host name and the addresses of its interfaces, loopback included."""
    found = set(_LOOPBACK)
    with contextlib.suppress(AddressError):
        found.add(check_host(socket.gethostname()))
    for interface in psutil.net_if_addrs().values():
        for one in interface:
            if one.family in {socket.AF_INET, socket.AF_INET6}:
                address = ipaddress.ip_address(one.address)
                if not address.is_link_local:
                    found.add(str(address))
    return found


def likely_address() -> str:
    """The address by which others most likely reach this machine: that of the way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_ELSEWHERE)
        except OSError:
            return socket.gethostname().lower()
        return str(probe.getsockname()[0])
