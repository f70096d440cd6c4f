"""Accuracy against depth: which network of a family pays on this host."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Mapping, Sequence

import msgspec

from builder.report.entry import Entry
from builder.report.gap import Gap, accuracy_gap
from builder.report.wording import points, significant, times
from contract.manifest import Manifest


class Pay(enum.StrEnum):
    """Whether the deeper of two networks is worth what it costs."""

    YES = "yes"
    NO = "no"
    #: More accurate, by a difference that so few images cannot tell from chance.
    UNPROVEN = "unproven"


class DepthStep(msgspec.Struct, frozen=True, kw_only=True):
    """From one network of a family to the next deeper one."""

    shallower: str
    deeper: str
    pays: Pay
    words: str


class DepthRung(msgspec.Struct, frozen=True, kw_only=True):
    """One unchanged network of a family."""

    architecture: str
    variant: str
    #: Blocks that do work; see `contract.manifest.Block`.
    blocks: int
    macs: int
    parameters: int
    top1: float
    top1_low: float
    top1_high: float
    p50_ms: float | None
    #: Most accurate variant of this architecture, itself included.
    best_variant: str
    best_top1: float


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """The networks of one family by depth, and what each step brings."""

    family: str
    rungs: list[DepthRung]
    steps: list[DepthStep]


def ladders(entries: Sequence[Entry], manifests: Mapping[str, Manifest]) -> list[Ladder]:
    """One ladder for each family of which the set has several networks."""
    families: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.variant == entry.own_base:
            families.setdefault(entry.family, []).append(entry)
    found = []
    for family, bases in families.items():
        if len(bases) > 1:
            ordered = sorted(bases, key=lambda base: base.macs)
            found.append(
                Ladder(
                    family=family,
                    rungs=[_rung(base, entries, manifests[base.variant]) for base in ordered],
                    steps=[
                        _step(one, other, manifests) for one, other in itertools.pairwise(ordered)
                    ],
                )
            )
    return found


def _rung(base: Entry, entries: Sequence[Entry], manifest: Manifest) -> DepthRung:
    own = [entry for entry in entries if entry.architecture == base.architecture]
    best = max(own, key=lambda entry: entry.top1)
    return DepthRung(
        architecture=base.architecture,
        variant=base.variant,
        blocks=sum(block.macs > 0 for block in manifest.blocks),
        macs=base.macs,
        parameters=base.parameters,
        top1=base.top1,
        top1_low=base.top1_low,
        top1_high=base.top1_high,
        p50_ms=base.p50_ms,
        best_variant=best.variant,
        best_top1=best.top1,
    )


def _step(shallower: Entry, deeper: Entry, manifests: Mapping[str, Manifest]) -> DepthStep:
    gap = accuracy_gap(manifests[deeper.variant].accuracy, manifests[shallower.variant].accuracy)
    extra_ms = None
    if deeper.p50_ms is None or shallower.p50_ms is None:
        price = f"does {times(deeper.macs / max(1, shallower.macs))} the work of"
    else:
        price = f"takes {times(deeper.p50_ms / shallower.p50_ms)} as long as"
        extra_ms = max(0.0, deeper.p50_ms - shallower.p50_ms)
    pays, worth, lesson = _worth(gap, extra_ms, manifests[deeper.variant].accuracy.images)
    return DepthStep(
        shallower=shallower.architecture,
        deeper=deeper.architecture,
        pays=pays,
        words=f"{deeper.architecture} {price} {shallower.architecture} and is {worth}: {lesson}.",
    )


def _worth(gap: Gap, extra_ms: float | None, images: int) -> tuple[Pay, str, str]:
    if gap.difference <= 0:
        less = f"{points(gap.difference)} less accurate"
        return Pay.NO, less if gap.difference else "as accurate", "deeper does not pay here"
    more = f"{points(gap.difference)} more accurate"
    if gap.may_be_chance:
        return Pay.UNPROVEN, more, f"{images} images cannot tell that from chance"
    price = "that work" if extra_ms is None else f"{significant(extra_ms, 2)} ms more"
    return Pay.YES, more, f"deeper pays where {price} can be afforded"
