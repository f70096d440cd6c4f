"""Timing side by side."""

from __future__ import annotations

import time

import pytest

from benchmarks.lib.rounds import Pace, latency, ratio, time_in_rounds


def test_each_work_is_timed_in_every_round_and_called_untimed_before() -> None:
    calls = {"one": 0, "other": 0}

    def counting(name: str) -> None:
        calls[name] += 1

    finished: list[int] = []
    samples = time_in_rounds(
        {name: lambda name=name: counting(name) for name in calls},
        Pace(rounds=4, untimed_calls=2, timed_calls=3),
        seed=0,
        on_round=finished.append,
    )
    assert {name: [len(timed) for timed in rounds] for name, rounds in samples.items()} == {
        "one": [3] * 4,
        "other": [3] * 4,
    }
    assert calls == {"one": 4 + 4 * 5, "other": 4 + 4 * 5}
    assert finished == [1, 2, 3, 4]


def test_the_order_changes_from_round_to_round() -> None:
    order: list[str] = []
    names = ["a", "b", "c"]
    time_in_rounds(
        {name: lambda name=name: order.append(name) for name in names},
        Pace(rounds=10, untimed_calls=0, timed_calls=1),
        seed=0,
        on_round=lambda _: None,
    )
    rounds = [tuple(order[start : start + 3]) for start in range(6, len(order), 3)]
    assert all(sorted(turn) == names for turn in rounds)
    assert len(set(rounds)) > 1


def test_work_that_takes_longer_has_the_longer_median() -> None:
    samples = time_in_rounds(
        {"short": lambda: None, "long": lambda: time.sleep(0.002)},
        Pace(rounds=3),
        seed=0,
        on_round=lambda _: None,
    )
    assert latency(samples["long"]).p50_ms > latency(samples["short"]).p50_ms
    assert latency(samples["long"]).calls == 9


def test_the_clock_is_the_one_that_was_given() -> None:
    ticks = iter(range(0, 10**9, 5_000_000))
    samples = time_in_rounds(
        {"work": lambda: None},
        Pace(rounds=2, timed_calls=2),
        seed=0,
        on_round=lambda _: None,
        clock_ns=lambda: next(ticks),
    )
    assert samples["work"] == [[pytest.approx(5.0)] * 2] * 2


def test_a_ratio_is_taken_within_rounds_so_that_a_slow_spell_does_not_move_it() -> None:
    spells = [1.0, 1.0, 9.0, 9.0, 1.0, 9.0, 1.0]
    samples = {
        "slow": [[12.0 * spell] * 3 for spell in spells],
        "fast": [[3.0 * spell] * 3 for spell in spells],
    }
    found = ratio("fast", "slow", samples)
    assert found.times_faster == pytest.approx(4.0)
    assert (found.low, found.high) == (pytest.approx(4.0), pytest.approx(4.0))
    assert found.rounds == 7


def test_few_rounds_give_no_interval() -> None:
    samples = {"slow": [[2.0]] * 5, "fast": [[1.0]] * 5}
    found = ratio("fast", "slow", samples)
    assert found.times_faster == pytest.approx(2.0)
    assert found.low is None
    assert found.high is None
