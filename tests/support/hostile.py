"""Texts as a hostile device or file may bring them, and what must never be printed of them."""

from __future__ import annotations

import unicodedata

#: Renames the window, clears it, colours it (in C1 too), turns letters around, hides some, begins
#: lines and rows of its own, and would be markup.
HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x9b31m\x85\u202egnp.exe\u2066\u2069\u200b\u200d\ufeff\U000e0041\u3164"
    "\u2028\u2029\r\n\t\x7f\x08\ue000[red]r[/old] mini [v2] :skull:"
)
#: What is left of its end, whatever stands before.
PLAIN_END = "[red]r[/old] mini [v2] :skull:"
#: As a file may be called, without a slash.
HOSTILE_NAME = HOSTILE.replace("/", "_")
_HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Zl", "Zp"}


def unfit(printed: str, *, allowed: str = "\n") -> set[str]:
    """Characters that a terminal would act on or not show."""
    hidden = {one for one in set(printed) if unicodedata.category(one) in _HIDDEN_CATEGORIES}
    return (hidden | ({"\u3164"} & set(printed))) - set(allowed)
