"""Which candidate a search tries next: pure decisions, the same for the same trials.

The policy, in this order:

1. *Anchors.* The base of each network, each network in static INT8, then the other schemes on
   the first network; at most half of the budget. They set the baseline, and show what integer
   arithmetic gains and costs on this very host.
2. *The bar*, every other trial: the candidate with the greatest expected saving of time that
   still meets the accuracy bar (constrained expected improvement; Schonlau, Welch and Jones
   1998). It asks for the middle between what surely meets the bar and what surely misses it,
   so the boundary along ratio and resolution is bracketed as in a bisection.
3. *The front*, the rest: the candidate that is expected to settle most of the front of time
   and top-1, because it is as fast and as accurate as many others that might have stood there
   (greedy maximum coverage; see `coverage`).

Each value is multiplied by the probability that the candidate can be built. Nothing is tried
twice, and nothing that the front dominates with near certainty: where only that is left, the
search ends before its budget does. So if INT8 turns out four times as fast for nothing, hardly
any FP32 is tried beyond the bases, and where it turns out slower, hardly any INT8.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.front import pareto_front
from builder.search.candidate import Candidate, Space
from builder.search.coverage import expected_coverage
from builder.search.findings import measurements, meets_bar
from builder.search.promise import Point, Promise
from builder.search.reliability import Reliability
from builder.search.trial import Trial
from contract.manifest import Scheme

#: A candidate with less chance of a place on the front is not worth its build.
_NEARLY_IMPOSSIBLE = 0.01
#: A smaller expected saving (as a logarithm, so half a percent) is below what timing tells.
_LEAST_SAVING = 0.005
#: Share of the budget that anchors may take.
_ANCHOR_SHARE = 0.5


class Purpose(enum.StrEnum):
    """Why a candidate is tried."""

    ANCHOR = "anchor"
    BAR = "bar"
    FRONT = "front"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The next candidate, and why."""

    candidate: Candidate
    purpose: Purpose
    #: None for anchors, which are tried whatever is expected of them.
    promise: Promise | None = None


def propose(
    space: Space,
    trials: Sequence[Trial],
    promises: Mapping[Candidate, Promise],
    *,
    max_top1_drop: float,
    budget: int,
) -> Proposal | None:
    """Next candidate to try; None where the budget is spent or nothing is worth a trial.

    Args:
        space: what may be tried.
        trials: finished trials, failed ones included.
        promises: predictions for candidates, from the models as fitted to `trials`; those
            without one are tried only as anchors.
        max_top1_drop: the bar, as a share of images.
        budget: trials in all, those already finished included.
    """
    tried = {trial.candidate for trial in trials}
    if len(tried) >= budget:
        return None
    reliability = Reliability(space=space, trials=trials)
    starts = anchors(space, budget)
    for anchor in starts:
        if anchor not in tried and not reliability.is_impossible(anchor):
            return Proposal(candidate=anchor, purpose=Purpose.ANCHOR)
    chances = {
        candidate: reliability.chance(candidate)
        for candidate in sorted(promises)
        if candidate not in tried and not reliability.is_impossible(candidate)
    }
    if not chances:
        return None
    choice = _Choice(space=space, trials=trials, promises=promises, chances=chances)
    # From the trials alone, so that a resumed search goes on as the interrupted one would have.
    is_turn_of_bar = (len(tried) - len(starts)) % 2 == 0
    return (choice.for_bar(max_top1_drop) if is_turn_of_bar else None) or choice.for_front()


def anchors(space: Space, budget: int) -> list[Candidate]:
    """Candidates that every search of `space` starts with, the baseline first."""
    bases = [space.base(name) for name in space.architectures]
    schemes = [scheme for scheme in dict.fromkeys(space.schemes) if scheme is not Scheme.FP32]
    in_int8 = [_with(base, Scheme.STATIC_INT8) for base in bases]
    others = [_with(bases[0], scheme) for scheme in schemes if scheme is not Scheme.STATIC_INT8]
    wanted = [*bases, *(in_int8 if Scheme.STATIC_INT8 in schemes else []), *others]
    return wanted[: max(1, int(budget * _ANCHOR_SHARE))]


def _with(base: Candidate, scheme: Scheme) -> Candidate:
    return Candidate(architecture=base.architecture, scheme=scheme, input_size=base.input_size)


class _Choice:
    """The choice among candidates that are left, given what was measured."""

    def __init__(
        self,
        *,
        space: Space,
        trials: Sequence[Trial],
        promises: Mapping[Candidate, Promise],
        chances: Mapping[Candidate, float],
    ) -> None:
        self._promises = promises
        self._chances = chances
        points = {
            candidate: Point(log_ms=math.log(one.p50_ms), top1=one.top1)
            for candidate, one in measurements(trials).items()
        }
        self._points = list(points.values())
        self._baseline = points.get(space.baseline)
        self._front = pareto_front(
            self._points, gain=lambda point: point.top1, costs=[lambda point: point.log_ms]
        )
        self._space = space

    def for_bar(self, max_top1_drop: float) -> Proposal | None:
        """Candidate with the greatest expected saving within the bar, if it is worth a trial."""
        if self._baseline is None:
            return None
        top1 = self._baseline.top1
        within = [p for p in self._points if meets_bar(p.top1, top1, max_top1_drop)]
        fastest = min(within, key=lambda point: point.log_ms, default=None)
        least = top1 - max_top1_drop
        live = self._live()
        candidate, saving = _first_greatest(
            live,
            [self._chances[c] * self._promises[c].expected_saving(fastest, least) for c in live],
        )
        return self._proposal(candidate, Purpose.BAR) if saving >= _LEAST_SAVING else None

    def for_front(self) -> Proposal | None:
        """Candidate that settles most of the front, if any has a place on it."""
        if not self._front:
            # Nothing was ever built: what is likeliest to be, with the fewest changes.
            likeliest = max(
                self._chances, key=lambda c: (self._chances[c], -len(self._space.changes(c)))
            )
            return self._proposal(likeliest, Purpose.FRONT)
        live = self._live()
        coverage = expected_coverage([self._promises[c] for c in live], self._front)
        values = [self._chances[c] * float(v) for c, v in zip(live, coverage, strict=True)]
        return self._proposal(_first_greatest(live, values)[0], Purpose.FRONT)

    def _live(self) -> list[Candidate]:
        """Candidates that the front does not dominate with near certainty."""
        return [
            candidate
            for candidate in self._chances
            if self._promises[candidate].chance_of_front(self._front) >= _NEARLY_IMPOSSIBLE
        ]

    def _proposal(self, candidate: Candidate | None, purpose: Purpose) -> Proposal | None:
        if candidate is None:
            return None
        return Proposal(candidate=candidate, purpose=purpose, promise=self._promises.get(candidate))


def _first_greatest(
    candidates: Sequence[Candidate], values: Sequence[float]
) -> tuple[Candidate | None, float]:
    best = max(range(len(values)), key=values.__getitem__, default=None)
    return (None, 0.0) if best is None else (candidates[best], values[best])
