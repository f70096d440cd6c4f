"""What is said of samples, against other ways to compute it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.statistics import summarize
from fleet.store.distribution import Distribution, distribution_of

LATENCIES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


@given(LATENCIES)
def test_the_figures_are_those_of_numpy(latencies_ms: list[float]) -> None:
    told = distribution_of(latencies_ms)
    assert (told.n, told.min_ms, told.max_ms) == (
        len(latencies_ms), min(latencies_ms), max(latencies_ms),
    )  # fmt: skip
    assert told.mean_ms == pytest.approx(np.mean(latencies_ms))
    for name in Distribution.__struct_fields__:
        if name.startswith("p"):
            percent = float(name.removeprefix("p").removesuffix("_ms").replace("_", "."))
            assert getattr(told, name) == pytest.approx(np.percentile(latencies_ms, percent))
    if told.stddev_ms is None:
        assert len(latencies_ms) == 1
    else:
        assert told.stddev_ms == pytest.approx(np.std(latencies_ms, ddof=1), abs=1e-9)


@given(LATENCIES)
def test_its_quantiles_are_those_that_the_agent_reports(latencies_ms: list[float]) -> None:
    told, reported = distribution_of(latencies_ms), summarize(latencies_ms)
    assert (told.p50_ms, told.p90_ms, told.p95_ms) == pytest.approx(
        (reported.p50_ms, reported.p90_ms, reported.p95_ms)
    )
