"""What is closed of an outbox, against a plain set."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.store.watermark import Watermark

RANGES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 5)).map(lambda pair: (pair[0], sum(pair)))
)


@given(RANGES)
def test_any_order_of_closing_gives_what_a_set_would_give(ranges: list[tuple[int, int]]) -> None:
    watermark, closed = Watermark(), set[int]()
    for first, last in ranges:
        watermark = watermark.close(first, last)
        closed |= set(range(first, last + 1))
    through = 0
    while through + 1 in closed:
        through += 1
    assert watermark.through == through
    assert watermark.highest == max(closed, default=0)
    assert watermark.missing == watermark.highest - len(closed)
    assert all(watermark.is_closed(seq) == (seq in closed) for seq in range(1, 50))


@given(RANGES)
def test_islands_stay_sorted_apart_and_beyond_the_gap(ranges: list[tuple[int, int]]) -> None:
    watermark = Watermark()
    for first, last in ranges:
        watermark = watermark.close(first, last)
    edges = [watermark.through, *(edge for island in watermark.islands for edge in island)]
    assert edges == sorted(edges)
    starts = [first for first, _ in watermark.islands]
    ends = [watermark.through, *(last for _, last in watermark.islands)]
    assert all(start > end + 1 for start, end in zip(starts, ends, strict=False))


def test_closing_in_order_keeps_no_islands() -> None:
    watermark = Watermark()
    for seq in range(1, 1001):
        watermark = watermark.close(seq, seq)
    assert watermark == Watermark(1000)
