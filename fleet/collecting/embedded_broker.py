"""Runs the broker that `serve` brings along, open on loopback or with an authority's accounts."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from fleet.authority.authority import Authority
from fleet.authority.names import is_address
from fleet.broker.doorkeeper import Doorkeeper
from fleet.broker.embedded import EmbeddedBroker

#: What listens on every address is reached from this machine at these.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
#: Many systems give a process 1,024 unless it asks for more.
_MOST_FILES = 65_536
#: Of the store, the log, the link process and what is imported late, generously.
_OTHER_FILES = 128


class Where(msgspec.Struct, frozen=True):
    """Where the collector reaches the broker, and where devices do."""

    inside: BrokerAddress
    outside: BrokerAddress


@contextlib.contextmanager
def embedded_broker(
    listen: BrokerAddress, authority_folder: Path, on_behind: Callable[[int, str], None]
) -> Iterator[Where]:
    """Run a broker within the block.

    Args:
        listen: where; with TLS it asks for accounts.
        authority_folder: holds them, and is made where it is missing.
        on_behind: see `EmbeddedBroker`.

    Raises:
        PortInUseError: somebody else listens there.
        AuthorityError: the authority cannot be used.
    """
    most = _allow_many_clients()
    if not listen.tls:
        with EmbeddedBroker(listen, most_clients=most, on_behind=on_behind) as broker:
            yield Where(broker.address, broker.address)
        return
    authority = Authority.open(authority_folder)
    if not is_address(listen.host):
        authority.add_names([listen.host])
    doorkeeper = Doorkeeper(authority)
    with EmbeddedBroker(listen, doorkeeper, most_clients=most, on_behind=on_behind) as broker:
        at = broker.address
        if listen.host not in _EVERYWHERE:
            yield Where(at, at)
            return
        yield Where(
            msgspec.structs.replace(at, host=_EVERYWHERE[listen.host]),
            msgspec.structs.replace(at, host=authority.public_host()),
        )


def _allow_many_clients() -> int:
    """Raise the limit on open files as far as it may be; gives how many clients that allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(_MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(files - _OTHER_FILES, files // 2)
