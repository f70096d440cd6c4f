"""What it would take for another variant: limits to move, and ties to tell apart."""

from __future__ import annotations

import msgspec

from contract.interval import share_gap
from fleet.choosing.candidate import Candidate
from fleet.choosing.closeness import images_to_tell_apart
from fleet.choosing.decision import Evidence
from fleet.choosing.explanation import Explanation, explain
from fleet.choosing.policy import parse_policy
from fleet.choosing.selection import decide
from support.measurements import make_candidate

LIMITS = '["p95_ms <= 150", "peak_rss_mb <= 400"]'


def told(*candidates: Candidate, limits: str = LIMITS) -> Explanation:
    text = f'name = "p"\nconstraints = {limits}\nobjectives = ["max top1", "min p95_ms"]'
    evidence = Evidence(
        site="lab",
        device="box",
        terms=parse_policy(text, source="p").terms_for("lab", "box", []),
        candidates=candidates,
        stale_runs=0,
    )
    return explain(evidence, decide(evidence))


def words(*candidates: Candidate, limits: str = LIMITS) -> list[str]:
    return [one.words for one in told(*candidates, limits=limits).prospects]


SMALL = make_candidate("small", top1=0.9, p50_ms=10)


def slow(name: str, p95_ms: float, **changes: object) -> Candidate:
    figures = {"top1": 0.99, "threads": 4, "p50_ms": p95_ms / 1.1} | changes
    one = make_candidate(name, **figures)
    return msgspec.structs.replace(one, p95_ms=p95_ms)


def test_the_limit_that_would_let_a_better_variant_win_is_given_as_people_write_it() -> None:
    assert words(SMALL, slow("big", 162.4)) == [
        "big at 4 threads would win if p95_ms were at most 163 (now 150 by policy; it has 162.4 ms)"
    ]


def test_of_several_the_smallest_change_of_each_limit_comes_first() -> None:
    heavy = slow("heavy", 100, peak_rss_bytes=455_000_000)
    assert words(SMALL, slow("near", 170), slow("far", 900, top1=0.995), heavy) == [
        "near at 4 threads would win if p95_ms were at most 170 (now 150 by policy; it has 170 ms)",
        (
            "heavy at 4 threads would win if peak_rss_mb were at most 455 (now 400 by policy; "
            "it has 455 MB)"
        ),
        "far at 4 threads would win if p95_ms were at most 900 (now 150 by policy; it has 900 ms)",
    ]


def test_where_no_single_limit_does_two_are_moved_together() -> None:
    both = slow("both", 162.4, peak_rss_bytes=455_000_000)
    assert words(SMALL, both) == [
        (
            "both at 4 threads would win if p95_ms were at most 163 (now 150 by policy; it has "
            "162.4 ms) and peak_rss_mb were at most 455 (now 400 by policy; it has 455 MB)"
        )
    ]


def test_a_worse_variant_outside_the_limits_is_no_prospect() -> None:
    assert words(SMALL, slow("worse", 162.4, top1=0.5)) == []


def test_a_limit_is_exact_where_a_rounded_one_would_let_in_another() -> None:
    first, second = slow("first", 162.2), slow("second", 162.6, top1=0.999)
    assert words(SMALL, first, second) == [
        (
            "first at 4 threads would win if p95_ms were at most 162.2 (now 150 by policy; it has "
            "162.2 ms)"
        ),
        (
            "second at 4 threads would win if p95_ms were at most 163 (now 150 by policy; it has "
            "162.6 ms)"
        ),
    ]


def test_where_nothing_fits_the_limit_that_would_make_a_choice_is_named() -> None:
    assert words(slow("big", 162.4)) == [
        (
            "big at 4 threads would be chosen if p95_ms were at most 163 (now 150 by policy; it "
            "has 162.4 ms)"
        )
    ]


def test_a_lower_bound_is_moved_down() -> None:
    assert words(make_candidate("net", top1=0.8765), limits='["top1 >= 0.9"]') == [
        (
            "net at 1 thread would be chosen if top1 were at least 0.876 (now 0.9 by policy; it "
            "has 87.65 %)"
        )
    ]


def test_a_figure_that_was_not_measured_gives_no_prospect_but_a_word_on_the_limit() -> None:
    explanation = told(make_candidate("net"), limits='["energy_mj <= 5"]')
    assert explanation.prospects == []
    assert explanation.limits == [
        "energy_mj was not measured (energy_mj <= 5) (set by policy)",
        (
            "energy_mj is not measured on this box, so nothing can keep energy_mj <= 5 (set by "
            "policy); set it only for groups of boxes that measure it"
        ),
    ]


def test_images_that_would_tell_a_tie_apart_are_counted() -> None:
    exact = make_candidate("exact", top1=0.98, p50_ms=100, accuracy_images=360)
    quick = make_candidate("quick", top1=0.97, p50_ms=10, accuracy_images=360)
    assert told(exact, quick).closeness == (
        "exact at 1 thread has top1 98.00 %, quick at 1 thread 97.00 %: 360 images do not tell "
        "them apart; about 1,900 would, if the shares stayed"
    )


def test_the_counted_images_are_the_fewest() -> None:
    needed = images_to_tell_apart(0.98, 0.97)
    assert needed is not None
    assert share_gap(0.98, needed, 0.97, needed).low > 0
    assert share_gap(0.98, needed - 1, 0.97, needed - 1).low <= 0
    assert images_to_tell_apart(0.97, 0.97) is None
    assert images_to_tell_apart(0.97001, 0.97) is None


def test_latencies_that_differ_by_less_than_the_band_are_never_worth_a_change() -> None:
    swift = make_candidate("swift", p50_ms=10.0, peak_rss_bytes=390_000_000)
    frugal = make_candidate("frugal", p50_ms=10.1, peak_rss_bytes=200_000_000)
    said = str(told(swift, frugal).closeness)
    assert said.endswith("less than 2 %, which is worth no change however well measured")


def test_a_pick_that_leads_every_objective_leaves_nothing_to_tell_apart() -> None:
    assert (
        told(make_candidate("best", top1=0.99), make_candidate("other", top1=0.8)).closeness is None
    )
