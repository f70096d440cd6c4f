"""Timing work side by side."""

from __future__ import annotations

import time

from builder.measuring.race import Effort, race


def spin(milliseconds: float) -> None:
    """Keep the processor busy for so long, whatever else runs."""
    end_ns = time.thread_time_ns() + milliseconds * 1e6
    while time.thread_time_ns() < end_ns:
        pass


_SHORT = Effort(min_seconds=0.0, max_seconds=30.0, min_rounds=6, burst_seconds=0.0)


def test_turns_alternate_and_every_burst_has_a_call_that_does_not_count() -> None:
    calls: list[str] = []

    result = race([lambda: calls.append("a"), lambda: calls.append("b")], _SHORT)

    assert [len(bursts) for bursts in result.bursts_ms] == [6, 6]
    assert "".join(calls) == "aabbbbaa" * 3


def test_each_runner_gets_its_own_time() -> None:
    result = race([lambda: spin(4.0), lambda: None], _SHORT)

    slow, fast = result.bursts_ms
    assert min(slow) >= 4.0
    assert max(fast) < min(slow)


def test_time_that_others_had_the_processor_is_not_counted() -> None:
    def interrupted() -> None:
        spin(1.0)
        # As a program that waits for its turn.
        time.sleep(0.02)

    (bursts_ms,) = race([interrupted], _SHORT).bursts_ms

    assert min(bursts_ms) >= 1.0
    assert max(bursts_ms) < 20.0


def test_who_sleeps_did_not_have_the_processor() -> None:
    assert race([lambda: time.sleep(0.004)], _SHORT).cpu_share < 0.5


def test_it_goes_on_until_time_and_rounds_are_reached_and_stops_at_the_limit() -> None:
    long = Effort(min_seconds=0.05, max_seconds=30.0, min_rounds=9, burst_seconds=0.0)
    limited = Effort(min_seconds=9.0, max_seconds=0.0, min_rounds=99, burst_seconds=0.0)

    rounds = len(race([lambda: time.sleep(0.002)], long).bursts_ms[0])
    fewest = len(race([lambda: None], limited).bursts_ms[0])

    assert rounds >= 9
    assert fewest == 6
