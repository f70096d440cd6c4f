"""Whether a device is connected, from births and deaths that may arrive out of order."""

from __future__ import annotations

import msgspec

from contract.messages import Presence, State

#: A last will comes within a minute or two; a device that starts more often is in a loop.
_KEPT_BOOTS = 8


class Connection(msgspec.Struct, frozen=True):
    """The newest connection that is known of a device; `at` is the device's clock."""

    presence: Presence
    boot_id: str
    number: int
    at: float
    #: Boots before this one, newest first.
    earlier_boots: tuple[str, ...] = ()


def next_connection(known: Connection | None, state: State) -> Connection:
    """Newest connection after a `state` message.

    A death counts only for the connection it names; a connection that died stays dead; an
    earlier boot says nothing any more, because a late last will must not hide the boot that
    came after it. Clocks are not asked: a box without a battery starts in 1970.
    """
    told = Connection(state.presence, state.boot_id, state.connection, state.at)
    if known is None:
        return told
    if told.boot_id == known.boot_id:
        told = msgspec.structs.replace(told, earlier_boots=known.earlier_boots)
        if told.number < known.number:
            return known
        revived = told.presence is Presence.ONLINE and known.presence is Presence.OFFLINE
        return known if revived and told.number == known.number else told
    if told.boot_id in known.earlier_boots:
        return known
    earlier = (known.boot_id, *known.earlier_boots)[:_KEPT_BOOTS]
    return msgspec.structs.replace(told, earlier_boots=earlier)
