"""Whether a latency has settled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from agent.stationary import SPAN, is_stationary
from contract.benchmark import Window


def course(
    medians_ms: Sequence[float], temperatures_c: Sequence[float] | None = None
) -> list[Window]:
    """Windows of five seconds each."""
    heat = temperatures_c if temperatures_c is not None else [None] * len(medians_ms)
    return [
        Window(at_s=5.0 * (i + 1), n=100, p50_ms=p50_ms, temperature_c=heat[i])
        for i, p50_ms in enumerate(medians_ms)
    ]


def test_too_few_windows_tell_nothing() -> None:
    """A minute is the least."""
    assert not is_stationary(course([10.0] * (SPAN - 1)))
    assert is_stationary(course([10.0] * SPAN))


def test_a_steady_rise_of_several_percent_is_a_trend() -> None:
    """3 % over a minute, in hardly any noise."""
    rising = 10.0 * (1.0 + 0.03 * np.arange(SPAN) / (SPAN - 1))
    assert not is_stationary(course(rising.tolist()))


def test_what_rose_before_and_is_flat_now_has_settled() -> None:
    """Only the last minute counts."""
    values = [*np.linspace(10.0, 14.0, SPAN).tolist(), *[14.0] * SPAN]
    assert is_stationary(course(values))
    assert not is_stationary(course(values[: SPAN + 4]))


def test_noise_without_a_trend_is_stationary_nine_times_in_ten() -> None:
    """2 % of noise on a box with neighbours must not keep a run going for ever."""
    rng = np.random.default_rng(1)
    runs = [course((10.0 * (1 + rng.normal(0, 0.02, SPAN))).tolist()) for _ in range(200)]
    assert sum(map(is_stationary, runs)) >= 180


def test_heat_that_still_rises_is_not_settled_however_flat_the_latency() -> None:
    """The processor slows down later."""
    assert not is_stationary(course([10.0] * SPAN, np.linspace(50.0, 56.0, SPAN).tolist()))
    assert is_stationary(course([10.0] * SPAN, np.linspace(60.0, 60.5, SPAN).tolist()))
