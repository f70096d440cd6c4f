"""By which name an HTTP client calls a server, and whether the server goes by it.

A page in the browser of somebody at this machine may point its own name at 127.0.0.1 (DNS
rebinding) and then read what is open here to this machine. It cannot change the name that it calls.
"""

from __future__ import annotations

import re
from collections.abc import Collection

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: A name or address, an IPv6 one in brackets, and perhaps a port (RFC 9110, section 7.2).
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::[0-9]*)?")


def loopback_names(listen_host: str) -> frozenset[str]:
    """Names by which a server that listens on loopback may be called."""
    return frozenset({*_LOOPBACK, listen_host.lower()})


def called_name(host: str) -> str:
    """The name in a header Host, without its port; empty where there is none."""
    found = _HOST.fullmatch(host.strip().lower())
    return "" if found is None else found[1] or found[2]


def wrong_name(name: str, names: Collection[str]) -> str:
    """What to say to somebody who calls a server by a name that it does not have."""
    others = sorted(set(names) - {"localhost"})
    return (
        f"host '{name[:100]}': this server has another name; expected localhost or "
        f"{' or '.join(others)}, in the URL, or in the header Host that a proxy sends"
    )
