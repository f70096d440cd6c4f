"""Percentiles and the median's interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.statistics import percentile, summarize, thin

latencies = st.lists(st.floats(min_value=1e-3, max_value=1e5), min_size=1, max_size=200)


@given(latencies, st.floats(min_value=0.0, max_value=1.0))
def test_percentiles_are_those_of_numpy(samples: list[float], share: float) -> None:
    """Linear interpolation between order statistics, as everybody expects."""
    ours = percentile(sorted(samples), share)
    assert ours == pytest.approx(float(np.quantile(samples, share)), rel=1e-9)


@given(latencies)
def test_figures_are_in_order_and_within_the_samples(samples: list[float]) -> None:
    """No figure lies outside what was measured."""
    summary = summarize(samples)
    figures = [min(samples), summary.p50_ms, summary.p90_ms, summary.p95_ms, max(samples)]
    assert figures == sorted(figures)
    if summary.ci_low_ms is not None and summary.ci_high_ms is not None:
        assert summary.ci_low_ms <= summary.p50_ms <= summary.ci_high_ms


@pytest.mark.parametrize(
    ("n", "low", "high"),
    [(6, 1, 6), (10, 2, 9), (20, 6, 15), (100, 40, 61)],
)
def test_the_interval_uses_the_ranks_of_the_binomial_table(n: int, low: int, high: int) -> None:
    """Ranks from published tables of the distribution-free interval at 95 %."""
    summary = summarize([float(rank) for rank in range(1, n + 1)])
    assert (summary.ci_low_ms, summary.ci_high_ms) == (low, high)


def test_five_samples_have_no_interval() -> None:
    """Even the extremes of five hold the median with less than 95 %."""
    assert summarize([1.0, 2.0, 3.0, 4.0, 5.0]).ci_low_ms is None


def test_p99_needs_a_thousand_samples() -> None:
    """Fewer say nothing about one in a hundred."""
    assert summarize([1.0] * 999).p99_ms is None
    assert summarize([1.0] * 1000).p99_ms == 1.0


@given(st.lists(st.integers(), max_size=300), st.integers(min_value=1, max_value=50))
def test_thinning_keeps_order_and_the_limit(samples: list[int], limit: int) -> None:
    """What is kept is a subsequence, as long as allowed."""
    kept = thin([float(s) for s in range(len(samples))], limit)
    assert len(kept) == min(limit, len(samples))
    assert kept == sorted(set(kept))
