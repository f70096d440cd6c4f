"""Whether a device is connected, from births and deaths that may arrive out of order."""

from __future__ import annotations

import msgspec

from contract.messages import Presence, State


class Connection(msgspec.Struct, frozen=True):
    """The newest connection that is known of a device; `at` is the device's clock."""

    presence: Presence
    boot_id: str
    number: int
    at: float


def next_connection(known: Connection | None, state: State) -> Connection:
    """Newest connection after a `state` message.

    A death counts only for the connection it names; a connection that died stays dead; a
    death from another boot counts only where it is later than what is known, because a late
    last will must not hide the boot that came after it.
    """
    told = Connection(state.presence, state.boot_id, state.connection, state.at)
    if known is None:
        return told
    if told.boot_id == known.boot_id:
        if told.number < known.number:
            return known
        revived = told.presence is Presence.ONLINE and known.presence is Presence.OFFLINE
        return known if revived and told.number == known.number else told
    if told.presence is Presence.OFFLINE and told.at <= known.at:
        return known
    return told
