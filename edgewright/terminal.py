"""Text from devices as a terminal may be shown it."""

from __future__ import annotations

_KEPT = "\n\t"


def visible(text: str) -> str:
    r"""`text` with control characters spelt out (`\x1b`); lines and tabs stay.

    Reasons, notes and topics are a device's words. Sent to a terminal as they are, an escape
    sequence among them could move its cursor, rename its window or hide a line.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in _KEPT else one.encode("unicode_escape").decode()
        for one in text
    )
