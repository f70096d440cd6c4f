"""Decisions in words."""

from __future__ import annotations

from contract.benchmark import RunStatus
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence
from fleet.choosing.explanation import Explanation, explain, reason
from fleet.choosing.policy import load_policy
from fleet.choosing.selection import decide
from support.measurements import make_candidate


def evidence_of(
    *candidates: Candidate, stale_runs: int = 0, policy: str = "most-accurate"
) -> Evidence:
    terms = load_policy(policy).terms_for("lab", "box", [])
    return Evidence(
        site="lab", device="box", terms=terms, candidates=candidates, stale_runs=stale_runs
    )


def told(*candidates: Candidate, policy: str = "most-accurate") -> Explanation:
    evidence = evidence_of(*candidates, policy=policy)
    return explain(evidence, decide(evidence))


def reason_of(*candidates: Candidate, stale_runs: int = 0) -> str:
    evidence = evidence_of(*candidates, stale_runs=stale_runs)
    return reason(evidence, decide(evidence))


def test_quantization_that_brings_nothing_here_is_called_not_worth_it() -> None:
    base = make_candidate("net-base", p50_ms=10)
    dynamic = make_candidate("net-dq8", p50_ms=9.8, scheme="dynamic-int8")
    static = make_candidate("net-sq8", p50_ms=3, scheme="static-int8")
    assert told(base, dynamic, static).not_worth_it == [
        "dynamic INT8: 1.02x on this box (net-dq8 against net-base, 1 thread)"
    ]


def test_what_pays_here_is_told_once_for_each_kind_at_its_best() -> None:
    base = make_candidate("net-base", p50_ms=10)
    pruned = make_candidate("net-p30", p50_ms=8, macs=20_000_000)
    static = make_candidate("net-sq8", p50_ms=4, scheme="static-int8")
    two = make_candidate("net-base", p50_ms=6, threads=2)
    static_two = make_candidate("net-sq8", p50_ms=2, threads=2, scheme="static-int8")
    assert told(base, pruned, static, two, static_two).worth_it == [
        "static INT8: 3.00x on this box (net-sq8 against net-base, 2 threads)",
        "pruning: 1.25x on this box (net-p30 against net-base, 1 thread)",
    ]


def test_a_box_that_counts_no_energy_is_told_so_and_the_next_objective_decides() -> None:
    slow, fast = make_candidate("slow", p50_ms=20), make_candidate("fast", p50_ms=10)
    explanation = told(slow, fast, policy="least-energy")
    assert explanation.headline == (
        "chosen fast at 1 thread: energy_mj is not measured here, better all round than "
        "everything else that fits"
    )
    assert explanation.course[0] == (
        "min energy_mj: energy_mj is not measured on this box: the objective tells nothing apart"
    )
    assert explanation.margins[0].words == "energy_mj unmeasured against unmeasured"


def test_least_energy_wins_where_it_is_counted() -> None:
    slow = make_candidate("slow", p50_ms=20, energy_mj=5.0)
    fast = make_candidate("fast", p50_ms=10, energy_mj=9.0)
    unmeasured = make_candidate("unmeasured", p50_ms=5)
    headline = told(slow, fast, unmeasured, policy="least-energy").headline
    assert headline == "chosen slow at 1 thread: best energy_mj 5 mJ of 3"


def test_the_margin_to_the_runner_up_is_told_for_every_objective() -> None:
    best, other = make_candidate("best", top1=0.99, p50_ms=50), make_candidate("other", top1=0.9)
    margins = told(best, other).margins
    assert [one.metric.value for one in margins] == ["top1", "p95_ms"]
    assert "9 points higher (95 % interval 8.4 to 9.6 points)" in margins[0].words
    assert "400 % higher" in margins[1].words


def test_a_quantized_pruned_variant_is_compared_with_its_own_pruned_parent() -> None:
    pruned = make_candidate("net-p10", p50_ms=5, macs=30_000_000)
    base = make_candidate("net-base", p50_ms=10)
    both = make_candidate("net-p10-dq8", p50_ms=5, macs=30_000_000, scheme="dynamic-int8")
    assert told(base, pruned, both).not_worth_it == [
        "dynamic INT8: 1.00x on this box (net-p10-dq8 against net-p10, 1 thread)"
    ]


def test_an_accuracy_that_separates_nothing_is_said_aloud() -> None:
    slow = make_candidate("slow", top1=0.98, p50_ms=100, accuracy_images=360)
    fast = make_candidate("fast", top1=0.97, p50_ms=10, accuracy_images=360)
    explanation = told(slow, fast)
    assert "top1 on 360 images tells none of the 2 apart" in explanation.course[0]
    assert "down to 97.00 %" in explanation.course[0]
    assert "measure accuracy on more images" in explanation.course[0]
    assert reason_of(slow, fast) == "top1 tells none of 2 apart, best p95_ms 11 ms of 2"


def test_the_runner_up_comes_with_the_figure_that_decided() -> None:
    best = make_candidate("best", top1=0.99, p50_ms=50)
    other = make_candidate("other", top1=0.90, p50_ms=10)
    assert told(best, other).runner_up == (
        "other at 1 thread: top1 90.00 % against 99.00 %, beyond the tie band"
    )


def test_the_binding_limit_names_what_it_rules_out_and_who_set_it() -> None:
    limits = told(
        make_candidate("fits", top1=0.9), make_candidate("slow", top1=0.99, p50_ms=300)
    ).limits
    assert limits == ["p95_ms <= 150 (set by policy) binds: without it, slow at 1 thread"]


def test_a_nearest_miss_says_by_how_much() -> None:
    assert reason_of(make_candidate("slow", p50_ms=200)) == (
        "p95_ms 220 ms misses p95_ms <= 150 by 70 ms"
    )


def test_failed_runs_are_listed_with_their_reason() -> None:
    oom = make_candidate("big", status=RunStatus.OOM, reason="killed at 400 MB")
    assert told(oom, make_candidate()).failed == ["big at 1 thread: oom: killed at 400 MB"]


def test_no_data_says_what_is_there_instead() -> None:
    assert reason_of() == "nothing was measured yet"
    assert "another bundle set or environment" in reason_of(stale_runs=3)
    oom = make_candidate("big", status=RunStatus.OOM, reason="killed")
    assert reason_of(oom) == "no usable run among 1: 1 oom"
