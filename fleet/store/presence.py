"""Whether a device is connected, from births and deaths that may arrive out of order."""

from __future__ import annotations

import msgspec

from contract.messages import Presence, State
from fleet.store.turns import Returns

#: A last will comes within a minute or two; a device that starts more often is in a loop.
_KEPT_BOOTS = 8


class Boot(msgspec.Struct, frozen=True, array_like=True):
    """An earlier start of the agent, and the highest number of its connections."""

    id: str
    number: int


class Connection(msgspec.Struct, frozen=True):
    """The newest connection that is known of a device; `at` is the device's clock."""

    presence: Presence
    boot_id: str
    number: int
    at: float
    #: Boots before this one, newest first.
    earlier_boots: tuple[Boot, ...] = ()
    #: Earlier boots that connected anew: they had not ended.
    returns: Returns = Returns()


def next_connection(known: Connection | None, state: State, *, now: float) -> Connection:
    """Newest connection after a `state` message at `now`, by the fleet's clock.

    A death counts only for the connection it names; a connection that died stays dead; an
    earlier boot says nothing any more, because a late last will must not hide the boot that
    came after it. The device's clock is not asked: a box without a battery starts in 1970.
    """
    told = Connection(state.presence, state.boot_id, state.connection, state.at)
    if known is None:
        return told
    told = msgspec.structs.replace(told, earlier_boots=known.earlier_boots, returns=known.returns)
    if told.boot_id == known.boot_id:
        if told.number < known.number:
            return known
        revived = told.presence is Presence.ONLINE and known.presence is Presence.OFFLINE
        return known if revived and told.number == known.number else told
    if any(told.boot_id == boot.id for boot in known.earlier_boots):
        return _after_earlier_boot(known, told, now)
    earlier = (Boot(known.boot_id, known.number), *known.earlier_boots)[:_KEPT_BOOTS]
    return msgspec.structs.replace(told, earlier_boots=earlier)


def _after_earlier_boot(known: Connection, told: Connection, now: float) -> Connection:
    """What an earlier boot says only counts as a sign that it goes on.

    The same birth may be delivered twice; a connection that was not heard of is a new one.
    """
    heard = {boot.id: boot.number for boot in known.earlier_boots}
    if told.presence is not Presence.ONLINE or told.number <= heard[told.boot_id]:
        return known
    heard[told.boot_id] = told.number
    boots = tuple(Boot(*one) for one in heard.items())
    return msgspec.structs.replace(known, earlier_boots=boots, returns=known.returns.again(now))
