"""What it would take for another variant to be picked: which limits would have to move."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Incumbent, Outcome, Ref, Status, ref_of
from fleet.choosing.demand import is_usable
from fleet.choosing.metric import Direction, Metric
from fleet.choosing.selection import pick_within
from fleet.choosing.terms import Operator, Terms

#: More than these are no longer read.
_MOST = 3
#: Significant digits of a limit that a person would write.
_DIGITS = 3


class LimitChange(msgspec.Struct, frozen=True, kw_only=True):
    """One limit as it would have to be for a variant that measured `value`."""

    metric: Metric
    #: As the policy has it, and which part of the policy.
    constraint: str
    origin: str
    limit: float
    needed: float
    value: float


class Prospect(msgspec.Struct, frozen=True, kw_only=True):
    """A variant outside the limits, and the least changes that let it in.

    With them it fits; `wins` tells whether it is also picked over the present pick.
    """

    ref: Ref
    changes: tuple[LimitChange, ...]
    wins: bool
    words: str


class _Option(msgspec.Struct, frozen=True, kw_only=True):
    candidate: Candidate
    changes: tuple[LimitChange, ...]
    wins: bool
    cost: float


def prospects_of(evidence: Evidence, outcome: Outcome) -> list[Prospect]:
    """The cheapest changes of limits that would change the pick, at most three.

    For each limit the smallest change of it alone that does; where no single limit does, the
    fewest limits together. Last, where it is not among these, the variant that would be best
    without any limit. Each was tried: the choice was made anew under the changed limits, with
    the pick in place. Variants with a figure unmeasured that a limit asks for have no prospect.
    """
    if outcome.status is Status.NO_DATA:
        return []
    terms = evidence.terms
    usable = [one for one in evidence.candidates if is_usable(one, terms.asked)]
    usable.sort(key=ref_of)
    present = present_after(evidence, outcome)
    options = [
        option
        for option in (_option(one, usable, terms, present) for one in usable)
        if option is not None
    ]
    options.sort(key=lambda one: (len(one.changes), one.cost, ref_of(one.candidate)))
    winning = [one for one in options if one.wins]
    singly: dict[Metric, _Option] = {}
    for option in winning:
        if len(option.changes) == 1:
            singly.setdefault(option.changes[0].metric, option)
    chosen = list(singly.values())[:_MOST] or winning[:1]
    ideal = pick_within(usable, msgspec.structs.replace(terms, constraints=()), None)
    dream = [one for one in options if one.candidate is ideal and one not in chosen]
    return [_told(one, outcome.status) for one in [*chosen[: _MOST - len(dream)], *dream]]


def relaxed(terms: Terms, changes: Sequence[LimitChange]) -> Terms:
    """`terms` with the limits as the changes need them."""
    needed = {one.metric: one.needed for one in changes}
    return msgspec.structs.replace(
        terms,
        constraints=tuple(
            msgspec.structs.replace(one, limit=needed.get(one.metric, one.limit))
            for one in terms.constraints
        ),
    )


def present_after(evidence: Evidence, outcome: Outcome) -> Incumbent | None:
    """What will be the present choice at the next decision; None where nothing fits."""
    if outcome.status is not Status.CHOSEN or outcome.pick is None:
        return None
    return Incumbent(outcome.pick, evidence.candidate(outcome.pick).sha256)


def _option(
    candidate: Candidate,
    usable: Sequence[Candidate],
    terms: Terms,
    present: Incumbent | None,
) -> _Option | None:
    """The least changes for one candidate; None where it fits, or a figure is missing."""
    measured = [(limit, limit.metric.of(candidate)) for limit in terms.constraints]
    broken = [(limit, value) for limit, value in measured if not limit.is_met(value)]
    pairs = [(limit, value) for limit, value in broken if value is not None]
    if not broken or len(pairs) < len(broken):
        return None
    options = []
    # A limit that people would write may let in another, better variant; the exact one not.
    for needed_of in (_rounded, _exact):
        changes = tuple(
            LimitChange(
                metric=limit.metric,
                constraint=str(limit),
                origin=limit.origin,
                limit=limit.limit,
                needed=needed_of(value, limit.operator),
                value=value,
            )
            for limit, value in pairs
        )
        options.append(
            _Option(
                candidate=candidate,
                changes=changes,
                wins=pick_within(usable, relaxed(terms, changes), present) is candidate,
                cost=sum(limit.excess(value) for limit, value in pairs),
            )
        )
    return next((one for one in options if one.wins), options[0])


def _rounded(value: float, operator: Operator) -> float:
    """The nearest limit of three digits that `value` keeps."""
    step = 0.0 if value == 0 else 10.0 ** (math.floor(math.log10(abs(value))) - _DIGITS + 1)
    if step == 0:
        return value
    away = math.ceil if operator is Operator.AT_MOST else math.floor
    # By way of the text, for a sum of tenths is not what people write.
    near = float(f"{away(value / step) * step:.{_DIGITS}g}")
    keeps = value <= near if operator is Operator.AT_MOST else value >= near
    return near if keeps else value


def _exact(value: float, _: Operator) -> float:
    return value


def _told(option: _Option, status: Status) -> Prospect:
    ref = ref_of(option.candidate)
    if status is Status.NEAREST_MISS:
        verb = "would be chosen" if option.wins else "would fit, yet another be chosen,"
    else:
        verb = "would win" if option.wins else "would fit, yet not win,"
    limits = " and ".join(_change_words(one) for one in option.changes)
    return Prospect(
        ref=ref, changes=option.changes, wins=option.wins, words=f"{ref} {verb} if {limits}"
    )


def _change_words(change: LimitChange) -> str:
    side = "at least" if change.metric.better is Direction.MAX else "at most"
    needed = f"{change.needed:g}"
    if float(needed) != change.needed:
        needed = repr(change.needed)
    return (
        f"{change.metric.value} were {side} {needed} (now {change.limit:g} by {change.origin}; "
        f"it has {change.metric.words(change.value, digits=_DIGITS + 1)})"
    )
