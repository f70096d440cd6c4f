"""What to take from a set, where one thing matters most."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from builder.report.entry import Entry
from builder.report.verdicts import Cost, cost_of


class Wish(enum.StrEnum):
    """What matters most to whoever picks."""

    ACCURATE = "most-accurate"
    #: Among those whose accuracy cannot be told from the baseline's, or is better.
    FAST = "fastest-without-loss"
    SMALL = "smallest-without-loss"


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """The variant that grants a wish."""

    wish: Wish
    variant: str


def pick(entries: Sequence[Entry], cost: Cost) -> list[Pick]:
    """One variant a wish; `cost` is what counts as fast."""
    read = cost_of(cost)
    timed = [entry for entry in entries if cost is not Cost.LATENCY or entry.p50_ms is not None]
    if not timed:
        return []
    whole = [entry for entry in timed if entry.is_baseline or keeps_accuracy(entry)] or timed
    # Of equals the cheaper one: accuracy that costs nothing more.
    accurate = min(timed, key=lambda entry: (-entry.top1, read(entry)))
    fast = min(whole, key=lambda entry: (read(entry), -entry.top1))
    small = min(whole, key=lambda entry: (entry.bytes, -entry.top1))
    return [
        Pick(wish=Wish.ACCURATE, variant=accurate.variant),
        Pick(wish=Wish.FAST, variant=fast.variant),
        Pick(wish=Wish.SMALL, variant=small.variant),
    ]


def keeps_accuracy(entry: Entry) -> bool:
    """Whether nothing shows that `entry` is less accurate than the baseline."""
    return entry.gap is not None and entry.gap.high >= 0
