"""What the store saw of a device's identity, as a sentence."""

from __future__ import annotations

from datetime import datetime

from fleet.store.identity import Identity, IdentityStatus

_NAME_CHARACTERS = 8
_DISTINCT_CHARACTERS = 4


def identity_words(name: str, found: Identity) -> str | None:
    """What there is to say of the identity of the device `name`; None where nothing is."""
    if found.status is IdentityStatus.CLONED:
        return _of_clone(name, found)
    if found.status is IdentityStatus.RESET:
        return _of_reset(found)
    return None


def _of_clone(name: str, found: Identity) -> str:
    signs = []
    if found.boot_returns:
        signs.append(
            f"an agent connected anew {_times(found.boot_returns)} after another one's start "
            "had replaced it"
        )
    if found.outbox_returns:
        signs.append(
            f"a replaced outbox went on {_times(found.outbox_returns)} beside "
            f"{_short(found.outbox)}, which began on {_date(found.reset_at)}"
        )
    if found.disputed:
        signs.append(f"for {_places(found.disputed)} two results came")
    return (
        f"two boxes share this identity: {'; '.join(signs)}; last seen on "
        f"{_date(found.returned_at)}. Empty the state folder of one, and give it a name of its "
        f"own in its agent.toml and with 'edgewright-fleet enroll' (not {name})"
    )


def _of_reset(found: Identity) -> str:
    outbox, before = found.outbox or "", found.outbox_before or ""
    most = _NAME_CHARACTERS
    while outbox != before and outbox[:most] == before[:most]:
        most += _DISTINCT_CHARACTERS
    said = f"outbox reset on {_date(found.reset_at)}: {outbox[:most]} after {before[:most]}"
    if found.missing:
        said += f"; {_places(found.missing)} of what was before never came, and will not"
    else:
        said += "; what was before is complete"
    if found.disputed:
        said += (
            f"; for {_places(found.disputed)} two results came: its disk was put back from an "
            "older image, or copied to another box"
        )
    return said


def _short(epoch: str | None) -> str:
    return (epoch or "")[:_NAME_CHARACTERS]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _places(count: int) -> str:
    return f"{count} place{'' if count == 1 else 's'}"


def _date(at: float | None) -> str:
    if at is None:
        return "an unknown day"
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
