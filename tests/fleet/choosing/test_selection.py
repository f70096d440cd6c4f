"""The choice: by example, and as laws over generated fleets."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from contract.benchmark import Golden, RunStatus
from contract.interval import Interval
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Incumbent, Outcome, Ref, Status, Verdict, ref_of
from fleet.choosing.policy import load_policy, parse_policy
from fleet.choosing.selection import decide
from fleet.choosing.terms import Terms
from support.measurements import make_candidate

ACCURATE = load_policy("most-accurate").terms_for("lab", "box", [])
TIGHT = parse_policy(
    'name = "t"\nconstraints = ["p95_ms <= 50", "peak_rss_mb <= 400"]\n'
    'objectives = ["max top1", "min p95_ms"]',
    source="t",
).terms_for("lab", "box", [])


def choose(
    *candidates: Candidate, terms: Terms = ACCURATE, incumbent: Candidate | None = None
) -> Outcome:
    present = None if incumbent is None else Incumbent(ref_of(incumbent), incumbent.sha256)
    return decide(
        Evidence(
            site="lab",
            device="box",
            terms=terms,
            candidates=candidates,
            stale_runs=0,
            incumbent=present,
        )
    )


def test_the_most_accurate_within_the_limits_wins() -> None:
    outcome = choose(
        make_candidate("a", top1=0.90, p50_ms=5),
        make_candidate("b", top1=0.99, p50_ms=100),
        make_candidate("c", top1=0.999, p50_ms=300),
    )
    assert (outcome.status, outcome.pick) == (Status.CHOSEN, Ref("b", 1))
    assert [one.constraint for one in outcome.binding] == ["p95_ms <= 150"]
    assert outcome.binding[0].instead == Ref("c", 1)


def test_where_few_images_cannot_tell_the_next_objective_decides() -> None:
    slow = make_candidate("slow", top1=0.98, p50_ms=100, accuracy_images=360)
    fast = make_candidate("fast", top1=0.97, p50_ms=10, accuracy_images=360)
    assert choose(slow, fast).pick == Ref("fast", 1)
    many = [
        make_candidate("slow", top1=0.98, p50_ms=100, accuracy_images=50_000),
        make_candidate("fast", top1=0.97, p50_ms=10, accuracy_images=50_000),
    ]
    assert choose(*many).pick == Ref("slow", 1)


def test_in_a_tie_on_every_objective_less_memory_wins() -> None:
    big = make_candidate("big", p50_ms=10.0, peak_rss_bytes=400_000_000)
    small = make_candidate("small", p50_ms=10.1, peak_rss_bytes=200_000_000)
    assert choose(big, small).pick == Ref("small", 1)


def test_p95_intervals_from_the_samples_widen_the_tie() -> None:
    fast, slow = make_candidate("fast", p50_ms=10.0), make_candidate("slow", p50_ms=11.0)
    slow = msgspec.structs.replace(slow, peak_rss_bytes=100_000_000)
    assert choose(fast, slow).pick == Ref("fast", 1)
    noisy = [
        msgspec.structs.replace(one, p95_interval_ms=Interval(10.5, 13.0)) for one in (fast, slow)
    ]
    assert choose(*noisy).pick == Ref("slow", 1)


def test_failed_and_wrong_runs_are_never_chosen_and_say_why() -> None:
    oom = make_candidate("oom", status=RunStatus.OOM, reason="killed at 400 MB", top1=1.0)
    wrong = make_candidate(
        "wrong", golden=Golden(ok=False, max_error=1.0, tolerance=0.01), top1=1.0
    )
    unproven = make_candidate("unproven", golden=None, top1=1.0)
    outcome = choose(oom, wrong, unproven, make_candidate("good", top1=0.5))
    assert outcome.pick == Ref("good", 1)
    failures = {one.ref.variant: one.failure for one in outcome.assessments if one.failure}
    assert failures["oom"] == "oom: killed at 400 MB"
    assert "differ" in str(failures["wrong"])
    assert "not checked" in str(failures["unproven"])


def test_without_a_usable_run_there_is_no_data() -> None:
    outcome = choose(make_candidate("oom", status=RunStatus.OOM))
    assert (outcome.status, outcome.pick) == (Status.NO_DATA, None)
    assert choose().status is Status.NO_DATA


def test_where_nothing_fits_the_nearest_miss_names_its_violations() -> None:
    near = make_candidate("near", p50_ms=50)
    far = make_candidate("far", p50_ms=500)
    outcome = choose(near, far, terms=TIGHT)
    assert (outcome.status, outcome.pick) == (Status.NEAREST_MISS, Ref("near", 1))
    (violation,) = outcome.violated
    assert (violation.constraint, violation.limit) == ("p95_ms <= 50", 50)
    assert violation.value == near.p95_ms


def test_a_limit_on_something_unmeasured_is_not_met() -> None:
    outcome = choose(make_candidate("a", peak_rss_bytes=500_000_000), terms=TIGHT)
    assert [one.metric.value for one in outcome.violated] == ["peak_rss_mb"]
    drop = parse_policy(
        'name="d"\nconstraints=["top1_drop <= 0.1"]\nobjectives=["max top1"]', source="d"
    ).terms_for("a", "b", [])
    unknown = choose(make_candidate("a", top1_drop=None), terms=drop)
    assert unknown.status is Status.NEAREST_MISS
    assert unknown.violated[0].value is None


def test_the_present_choice_stays_while_the_winner_is_within_the_tie_band() -> None:
    present = make_candidate("present", p50_ms=10.0)
    rival = make_candidate("rival", p50_ms=9.95)
    outcome = choose(present, rival, incumbent=present)
    assert (outcome.pick, outcome.challenger) == (Ref("present", 1), Ref("rival", 1))
    better = make_candidate("rival", p50_ms=5)
    assert choose(present, better, incumbent=present).pick == Ref("rival", 1)


def test_a_present_choice_that_no_longer_fits_or_was_rebuilt_does_not_stay() -> None:
    slow = make_candidate("present", p50_ms=200, top1=0.999)
    rival = make_candidate("rival", p50_ms=10)
    assert choose(slow, rival, incumbent=slow).pick == Ref("rival", 1)
    old = make_candidate("present", p50_ms=10.0, sha256="cd" * 32)
    same = [make_candidate("present", p50_ms=10.0), make_candidate("rival", p50_ms=9.95)]
    unbound = choose(*same).pick
    assert choose(*same, incumbent=old).pick == unbound


@st.composite
def candidate_lists(draw: st.DrawFn) -> list[Candidate]:
    names = draw(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 4)), unique=True, max_size=8)
    )
    return [
        make_candidate(
            name,
            threads=threads,
            top1=draw(st.integers(80, 100)) / 100,
            p50_ms=draw(st.integers(1, 80)),
            peak_rss_bytes=draw(st.integers(200, 500)) * 1_000_000,
            accuracy_images=draw(st.sampled_from([50, 360, 50_000])),
            status=draw(st.sampled_from([RunStatus.OK] * 4 + [RunStatus.OOM, RunStatus.TIMEOUT])),
            golden=Golden(
                ok=draw(st.sampled_from([True, True, True, False])), max_error=0, tolerance=1
            ),
        )
        for name, threads in names
    ]


@given(candidate_lists())
def test_a_choice_is_always_usable_and_within_every_limit(candidates: list[Candidate]) -> None:
    outcome = choose(*candidates, terms=TIGHT)
    usable = [one for one in candidates if one.failure is None]
    fits = [
        one
        for one in usable
        if (one.p95_ms or 0) <= 50 and (one.peak_rss_bytes or 0) <= 400_000_000
    ]
    expected = Status.CHOSEN if fits else Status.NEAREST_MISS if usable else Status.NO_DATA
    assert outcome.status is expected
    allowed = {ref_of(one) for one in (fits or usable)}
    assert outcome.pick in allowed if allowed else outcome.pick is None
    assert len(outcome.assessments) == len(candidates)


@given(candidate_lists(), st.randoms())
def test_the_order_of_candidates_does_not_matter(
    candidates: list[Candidate], shuffler: random.Random
) -> None:
    shuffled = list(candidates)
    shuffler.shuffle(shuffled)
    assert choose(*candidates, terms=TIGHT) == choose(*shuffled, terms=TIGHT)


@given(candidate_lists(), st.data())
def test_a_dominated_newcomer_does_not_change_the_pick(
    candidates: list[Candidate], data: st.DataObject
) -> None:
    before = choose(*candidates)
    if before.status is not Status.CHOSEN:
        return
    usable = [one for one in candidates if one.failure is None and (one.p95_ms or 0) <= 150]
    model = data.draw(st.sampled_from(usable))
    newcomer = msgspec.structs.replace(
        model,
        variant="zz",
        top1=model.top1 * 0.999,
        p95_ms=(model.p95_ms or 0) * 1.01,
        peak_rss_bytes=(model.peak_rss_bytes or 0) + 1,
    )
    after = choose(*candidates, newcomer)
    assert after.pick == before.pick
    verdicts = {one.ref: one.verdict for one in after.assessments}
    assert verdicts[ref_of(newcomer)] is Verdict.DOMINATED


@given(candidate_lists())
def test_deciding_again_with_the_choice_in_place_keeps_it(candidates: list[Candidate]) -> None:
    first = choose(*candidates)
    if first.status is Status.CHOSEN:
        present = next(one for one in candidates if ref_of(one) == first.pick)
        again = choose(*candidates, incumbent=present)
        assert (again.pick, again.challenger) == (first.pick, None)


@given(candidate_lists(), st.data())
def test_a_present_choice_is_left_only_for_something_told_apart(
    candidates: list[Candidate], data: st.DataObject
) -> None:
    usable = [one for one in candidates if one.failure is None and (one.p95_ms or 0) <= 150]
    if not usable:
        return
    present = data.draw(st.sampled_from(usable))
    outcome = choose(*candidates, incumbent=present)
    winner = choose(*candidates).pick
    assert outcome.pick in (ref_of(present), winner)
    assert outcome.challenger == (winner if outcome.pick != winner else None)


@given(candidate_lists())
def test_stored_evidence_replays_to_the_same_outcome(candidates: list[Candidate]) -> None:
    evidence = Evidence(
        site="lab", device="box", terms=TIGHT, candidates=tuple(candidates), stale_runs=0
    )
    stored = msgspec.json.encode(evidence), msgspec.json.encode(decide(evidence))
    replayed = decide(msgspec.json.decode(stored[0], type=Evidence))
    assert replayed == msgspec.json.decode(stored[1], type=Outcome)
