"""The front is what its definition says, and each dominated candidate's dominator is named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.choosing.pareto import dominators, pareto_front
from support.measurements import make_candidate

METRICS = (Metric.TOP1, Metric.P95_MS, Metric.ENERGY_MJ)


@st.composite
def candidates(draw: st.DrawFn) -> list[Candidate]:
    """Few values each, so that many are equal or dominated; energy may be unmeasured."""
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from([0.7, 0.8, 0.9]),
                st.sampled_from([5.0, 6.0, 7.0]),
                st.sampled_from([None, 1.0, 2.0]),
            ),
            max_size=10,
        )
    )
    return [
        make_candidate(f"net-{number}", top1=top1, p50_ms=p50_ms, energy_mj=energy_mj)
        for number, (top1, p50_ms, energy_mj) in enumerate(rows)
    ]


def is_better(one: Candidate, other: Candidate) -> bool:
    """At least as good in every metric, and better in one."""
    pairs = [(metric.cost(one), metric.cost(other)) for metric in METRICS]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


@given(candidates())
def test_the_front_has_exactly_those_that_no_other_is_better_than(those: list[Candidate]) -> None:
    expected = [one for one in those if not any(is_better(other, one) for other in those)]
    assert pareto_front(those, METRICS) == expected


@given(candidates())
def test_the_first_that_is_better_is_named(those: list[Candidate]) -> None:
    expected = [next((other for other in those if is_better(other, one)), None) for one in those]
    assert dominators(those, METRICS) == expected
