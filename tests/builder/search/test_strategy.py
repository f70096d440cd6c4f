from __future__ import annotations

from builder.outcome import Status
from builder.search.candidate import Candidate, Space
from builder.search.normal import Normal
from builder.search.promise import Promise
from builder.search.strategy import Purpose, anchors, propose
from builder.search.trial import Measurement, Trial
from contract.manifest import Scheme

SPACE = Space(input_sizes={"one": (64, 48)}, ratios=(0.3, 0.6), schemes=(Scheme.FP32,))
NETS = Space(input_sizes={"one": (64,), "two": (64,)}, schemes=tuple(Scheme))
BASE = SPACE.baseline
MILD = Candidate(architecture="one", prune_ratio=0.3, input_size=64)
STRONG = Candidate(architecture="one", prune_ratio=0.6, input_size=64)
SMALL = Candidate(architecture="one", input_size=48)


def built(candidate: Candidate, top1: float, p50_ms: float) -> Trial:
    return Trial(
        candidate=candidate,
        status=Status.BUILT,
        measurement=Measurement(top1=top1, p50_ms=p50_ms, bytes=1, macs=1),
    )


def promise(log_ms: float, top1: float, sd: float = 0.004) -> Promise:
    return Promise(Normal(log_ms, 0.05), Normal(top1, sd))


def test_anchors_are_bases_then_static_int8_then_other_schemes_of_the_first_network() -> None:
    assert [NETS.name(candidate) for candidate in anchors(NETS, 20)][:5] == [
        "one-base",
        "two-base",
        "one-sq8",
        "two-sq8",
        "one-dq8",
    ]


def test_anchors_take_half_of_the_budget_at_most_and_the_baseline_always() -> None:
    assert len(anchors(NETS, 6)) == 3
    assert anchors(NETS, 1) == [NETS.baseline]


def test_an_unsupported_anchor_is_passed_over() -> None:
    space = Space(input_sizes={"one": (64,)}, schemes=tuple(Scheme))
    failed = [
        Trial(candidate=candidate, status=Status.UNSUPPORTED)
        for candidate in anchors(space, 20)[1:]
    ]
    trials = [built(space.baseline, 0.9, 1.0), *failed]
    promises = {candidate: promise(-1.0, 0.9) for candidate in space.candidates()}
    proposal = propose(space, trials, promises, max_top1_drop=0.01, budget=20)
    assert proposal is not None
    assert proposal.candidate.scheme is Scheme.FP32


def test_the_turn_of_the_bar_takes_the_fastest_that_probably_meets_it() -> None:
    promises = {MILD: promise(-0.5, 0.898), STRONG: promise(-1.0, 0.7), SMALL: promise(-0.2, 0.9)}
    proposal = propose(
        SPACE, [built(BASE, 0.9, 1.0)], promises, max_top1_drop=0.01, budget=20
    )  # fmt: skip
    assert proposal is not None
    assert (proposal.candidate, proposal.purpose) == (MILD, Purpose.BAR)


def test_the_other_turn_takes_what_settles_most_of_the_front() -> None:
    trials = [built(BASE, 0.9, 1.0), built(MILD, 0.895, 0.6)]
    # As fast and as accurate as its sibling, and a little less certain to be within the bar.
    both = Candidate(architecture="one", prune_ratio=0.3, input_size=48)
    promises = {both: promise(-1.5, 0.85), STRONG: promise(-1.2, 0.8), SMALL: promise(-0.55, 0.897)}
    proposal = propose(SPACE, trials, promises, max_top1_drop=0.01, budget=20)
    assert proposal is not None
    assert (proposal.candidate, proposal.purpose) == (both, Purpose.FRONT)


def test_where_all_is_dominated_with_near_certainty_nothing_is_proposed() -> None:
    promises = {MILD: promise(0.5, 0.8), STRONG: promise(0.5, 0.7)}
    trials = [built(BASE, 0.9, 1.0)]
    assert propose(SPACE, trials, promises, max_top1_drop=0.01, budget=20) is None


def test_nothing_is_proposed_twice_or_beyond_the_budget() -> None:
    promises = {candidate: promise(-1.0, 0.9) for candidate in SPACE.candidates()}
    trials: list[Trial] = []
    while proposal := propose(SPACE, trials, promises, max_top1_drop=0.01, budget=5):
        trials.append(built(proposal.candidate, 0.9, 1.0))
    assert len({trial.candidate for trial in trials}) == len(trials) == 5


def test_where_the_baseline_failed_the_front_is_still_sought() -> None:
    promises = {candidate: promise(-1.0, 0.9) for candidate in SPACE.candidates()}
    trials = [Trial(candidate=BASE, status=Status.FAILED, reason="no")]
    first = propose(SPACE, trials, promises, max_top1_drop=0.01, budget=20)
    assert first is not None
    trials.append(built(first.candidate, 0.8, 1.0))
    second = propose(SPACE, trials, promises, max_top1_drop=0.01, budget=20)
    assert second is not None
    assert second.purpose is Purpose.FRONT
