"""Laws of choosing and explaining that hold whatever was measured, and whatever is missing."""

from __future__ import annotations

import random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleet.choosing.decision import Evidence, Incumbent, Outcome, Status, Verdict, ref_of
from fleet.choosing.demand import is_usable
from fleet.choosing.explanation import assessment_words, explain, reason
from fleet.choosing.metric import Direction
from fleet.choosing.prospect import present_after, relaxed
from fleet.choosing.selection import decide, pick_within
from support.evidence import candidates, evidences


def changed(evidence: Evidence, **changes: object) -> Evidence:
    return msgspec.structs.replace(evidence, **changes)


def incumbent_of(evidence: Evidence, outcome: Outcome) -> Incumbent | None:
    return present_after(evidence, outcome)


@given(evidences(), st.randoms())
def test_order_does_not_matter_to_choice_or_words(
    evidence: Evidence, shuffler: random.Random
) -> None:
    shuffled = list(evidence.candidates)
    shuffler.shuffle(shuffled)
    other = changed(evidence, candidates=tuple(shuffled))
    assert decide(other) == decide(evidence)
    assert explain(other, decide(other)) == explain(evidence, decide(evidence))


@given(evidences(), st.data())
def test_a_newcomer_outside_the_limits_changes_nothing(
    evidence: Evidence, data: st.DataObject
) -> None:
    before = decide(evidence)
    if before.status is not Status.CHOSEN:
        return
    after = decide(
        changed(evidence, candidates=(*evidence.candidates, data.draw(candidates("zz"))))
    )
    (verdict,) = (one.verdict for one in after.assessments if one.ref.variant == "zz")
    if verdict in {Verdict.INFEASIBLE, Verdict.FAILED, Verdict.INSUFFICIENT}:
        for part in ("status", "pick", "steps", "runner_up", "challenger"):
            assert getattr(after, part) == getattr(before, part)
        assert [one for one in after.assessments if one.ref.variant != "zz"] == list(
            before.assessments
        )


@given(evidences(), st.data())
def test_under_a_tighter_limit_nothing_is_chosen_that_breaks_it(
    evidence: Evidence, data: st.DataObject
) -> None:
    limits = evidence.terms.constraints
    if not limits:
        return
    tightened = data.draw(st.sampled_from(limits))
    sign = 1 if tightened.metric.better is Direction.MAX else -1
    step = data.draw(st.sampled_from([0.001, 0.5, 3.0])) * sign
    tighter = msgspec.structs.replace(tightened, limit=tightened.limit + step)
    terms = msgspec.structs.replace(
        evidence.terms,
        constraints=tuple(tighter if one is tightened else one for one in limits),
    )
    outcome = decide(changed(evidence, terms=terms))
    if outcome.status is Status.CHOSEN and outcome.pick is not None:
        pick = evidence.candidate(outcome.pick)
        assert all(one.is_met(one.metric.of(pick)) for one in terms.constraints)
        assert is_usable(pick, terms.asked)
    elif decide(evidence).status is Status.NO_DATA:
        assert outcome.status is Status.NO_DATA


@given(evidences())
def test_a_choice_that_is_made_stays_on_the_same_evidence(evidence: Evidence) -> None:
    first = decide(evidence)
    if first.status is not Status.CHOSEN:
        return
    for _ in range(3):
        again = decide(changed(evidence, incumbent=incumbent_of(evidence, first)))
        assert again.pick == first.pick
        first = again


@given(evidences())
def test_the_pick_alone_is_the_pick_of_the_whole_decision(evidence: Evidence) -> None:
    outcome = decide(evidence)
    usable = [one for one in evidence.candidates if is_usable(one, evidence.terms.asked)]
    alone = pick_within(sorted(usable, key=ref_of), evidence.terms, evidence.incumbent)
    chosen = outcome.pick if outcome.status is Status.CHOSEN else None
    assert (alone and ref_of(alone)) == chosen


@given(evidences())
def test_limits_moved_as_the_explanation_says_let_the_variant_in_and_win(
    evidence: Evidence,
) -> None:
    outcome = decide(evidence)
    for prospect in explain(evidence, outcome).prospects:
        moved = changed(
            evidence,
            terms=relaxed(evidence.terms, prospect.changes),
            incumbent=incumbent_of(evidence, outcome),
        )
        after = decide(moved)
        (verdict,) = (one.verdict for one in after.assessments if one.ref == prospect.ref)
        assert verdict is not Verdict.INFEASIBLE
        assert (after.pick == prospect.ref) is prospect.wins
        for change in prospect.changes:
            (limit,) = (one for one in evidence.terms.constraints if one.metric is change.metric)
            assert not limit.is_met(change.value)


@given(evidences())
def test_there_are_words_for_everything_also_after_storing(evidence: Evidence) -> None:
    outcome = decide(evidence)
    explanation = explain(evidence, outcome)
    assert reason(evidence, outcome)
    assert all(assessment_words(one) for one in outcome.assessments)
    for words in (explanation.headline, *(one.words for one in explanation.margins)):
        assert "None" not in words
        assert "nan" not in words
        assert "inf " not in words
    stored = msgspec.json.encode(evidence), msgspec.json.encode(outcome)
    replayed = msgspec.json.decode(stored[0], type=Evidence)
    assert decide(replayed) == msgspec.json.decode(stored[1], type=Outcome) == outcome
    assert explain(replayed, outcome) == explanation
    assert msgspec.json.encode(explanation)


@given(evidences())
def test_what_falls_short_of_the_demands_is_never_picked(evidence: Evidence) -> None:
    outcome = decide(evidence)
    for one in outcome.assessments:
        candidate = evidence.candidate(one.ref)
        short = candidate.failure is None and not is_usable(candidate, evidence.terms.asked)
        assert (one.verdict is Verdict.INSUFFICIENT) is short
        if short:
            assert one.ref not in (outcome.pick, outcome.runner_up, outcome.challenger)
            assert one.failure
    if outcome.status is Status.NO_DATA:
        assert not any(is_usable(one, evidence.terms.asked) for one in evidence.candidates)
