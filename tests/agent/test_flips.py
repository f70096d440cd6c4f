"""Variants that change places while a box gets warm."""

from __future__ import annotations

from agent.flips import rank_flips
from support.measurements import make_run


def test_who_falls_behind_from_the_first_minute_to_the_end_is_told() -> None:
    """The small one was slower at first, but it does not heat the box up."""
    runs = [
        make_run("net-base", first_minute_p50_ms=30.0, p50_ms=40.0),
        make_run("net-p30", first_minute_p50_ms=20.0, p50_ms=31.0),
        make_run("net-r160", first_minute_p50_ms=22.0, p50_ms=24.0),
    ]
    flips = rank_flips(runs)
    assert set(flips) == {("net-p30", 1)}
    (sentence,) = flips["net-p30", 1]
    assert sentence == (
        "rank flip: net-p30 was faster than net-r160 in its first minute (20 against 22 ms) and is "
        "slower at the end (31 against 24 ms)"
    )


def test_side_by_side_is_no_order_that_could_flip() -> None:
    """Neither a hair's breadth, nor other threads, nor quick runs."""
    close = [
        make_run("net-a", first_minute_p50_ms=20.0, p50_ms=30.3),
        make_run("net-b", first_minute_p50_ms=20.2, p50_ms=30.0),
    ]
    others = [
        make_run("net-a", first_minute_p50_ms=20.0, p50_ms=40.0),
        make_run("net-b", first_minute_p50_ms=25.0, p50_ms=30.0, threads=2),
    ]
    quick = [make_run("net-a", p50_ms=20.0), make_run("net-b", p50_ms=30.0)]
    assert rank_flips(close) == rank_flips(others) == rank_flips(quick) == {}
