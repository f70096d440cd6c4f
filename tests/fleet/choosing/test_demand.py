"""Evidence that a policy asks for: what falls short, and what is said about it."""

from __future__ import annotations

import msgspec

from contract.benchmark import RunStatus
from fleet.choosing.candidate import Candidate, Provenance
from fleet.choosing.decision import Evidence, Outcome, Ref, Status, Verdict
from fleet.choosing.demand import Evidential, expires_at
from fleet.choosing.explanation import assessment_words, explain, reason
from fleet.choosing.policy import parse_policy
from fleet.choosing.selection import decide
from support.measurements import make_candidate

DAY_S = 86_400.0
NEW_YEAR_2026 = 1_767_225_600.0


def evidence_of(asked: str, *candidates: Candidate, groups: tuple[str, ...] = ()) -> Evidence:
    text = f'name = "p"\nobjectives = ["max top1"]\n{asked}'
    terms = parse_policy(text, source="p").terms_for("lab", "box", groups)
    return Evidence(site="lab", device="box", terms=terms, candidates=candidates, stale_runs=0)


def decided(asked: str, *candidates: Candidate, groups: tuple[str, ...] = ()) -> Outcome:
    return decide(evidence_of(asked, *candidates, groups=groups))


def shortfall(asked: str, candidate: Candidate, *groups: str) -> str | None:
    (assessment,) = decided(asked, candidate, groups=groups).assessments
    return assessment.failure


def known(received_at: float, *, expired: bool = False, processes: int | None = 2) -> Provenance:
    return Provenance(received_at=received_at, is_expired=expired, processes=processes)


def test_a_run_of_too_few_samples_is_never_chosen_and_says_why() -> None:
    few = make_candidate("few", n=30, top1=0.99)
    outcome = decided("[evidence]\nmin_samples = 100", few, make_candidate("many", top1=0.9))
    assert outcome.pick == Ref("many", 1)
    first = outcome.assessments[0]
    assert first.verdict is Verdict.INSUFFICIENT
    words = "too little evidence: 30 samples; the policy asks for 100"
    assert assessment_words(first) == words


def test_each_kind_of_evidence_has_words_of_its_own() -> None:
    one = make_candidate(n=30, accuracy_images=50, p50_ms=10.0, ci_low_ms=8.0, ci_high_ms=11.5)
    told = msgspec.structs.replace(one, provenance=known(NEW_YEAR_2026, expired=True, processes=1))
    for asked, words in (
        ("min_samples = 31", "30 samples; the policy asks for 31"),
        ("min_accuracy_images = 200", "accuracy on 50 images; the policy asks for 200"),
        ("min_processes = 2", "measured in 1 process; the policy asks for 2"),
        ("max_interval = 0.2", "the median's interval is 35 % wide; the policy asks for 20 %"),
        ("max_age_days = 90", "received 2026-01-01; the policy takes none older than 90 days"),
    ):
        assert shortfall(f"[evidence]\n{asked}", told) == words


def test_what_a_run_does_not_say_it_does_not_have() -> None:
    bare = msgspec.structs.replace(
        make_candidate(), ci_low_ms=None, provenance=known(0.0, processes=None)
    )
    said = shortfall("[evidence]\nmin_processes = 2\nmax_interval = 0.2", bare)
    assert said == (
        "the run does not say in how many processes; the policy asks for 2; "
        "the median has no interval; the policy asks for 20 %"
    )


def test_the_group_that_asks_is_named() -> None:
    few = make_candidate(n=30)
    said = shortfall("[groups.slow.evidence]\nmin_samples = 100", few, "slow")
    assert said == "30 samples; the policy, for group slow, asks for 100"


def test_a_run_with_just_enough_evidence_counts() -> None:
    enough = msgspec.structs.replace(
        make_candidate(n=100, accuracy_images=200, p50_ms=10.0, ci_low_ms=9.0, ci_high_ms=11.0),
        provenance=known(NEW_YEAR_2026),
    )
    asked = (
        "[evidence]\nmin_samples = 100\nmin_processes = 2\nmax_age_days = 90\n"
        "max_interval = 0.2\nmin_accuracy_images = 200"
    )
    assert decided(asked, enough).status is Status.CHOSEN


def test_where_all_evidence_falls_short_there_is_no_data_and_what_to_do() -> None:
    evidence = evidence_of(
        "[evidence]\nmin_samples = 100",
        make_candidate("a", n=30),
        make_candidate("b", n=31),
        make_candidate("c", status=RunStatus.OOM, reason="killed"),
    )
    outcome = decide(evidence)
    assert outcome.status is Status.NO_DATA
    assert reason(evidence, outcome) == (
        "no usable run among 3: 1 oom, 2 with too little evidence (30 samples; the policy asks "
        "for 100: measure longer (min_seconds or min_runs in agent.toml))"
    )
    assert explain(evidence, outcome).insufficient == [
        "a at 1 thread: 30 samples; the policy asks for 100",
        "b at 1 thread: 31 samples; the policy asks for 100",
    ]


def test_a_failed_run_stays_failed_whatever_is_asked() -> None:
    oom = make_candidate("c", status=RunStatus.OOM, n=0)
    (assessment,) = decided("[evidence]\nmin_samples = 100", oom).assessments
    assert assessment.verdict is Verdict.FAILED


def test_a_run_expires_when_the_policy_says() -> None:
    (demand,) = evidence_of("[evidence]\nmax_age_days = 90").terms.asked
    assert expires_at([demand], 100.0) == 100.0 + 90 * DAY_S
    assert expires_at([], 100.0) == float("inf")


def test_every_kind_of_evidence_has_a_remedy() -> None:
    assert all(kind.remedy for kind in Evidential)
