"""Figures as a person reads them."""

from __future__ import annotations

import pytest

from builder.report.wording import (
    amount,
    percent,
    points,
    short_percent,
    signed_points,
    significant,
    tick_amount,
    times,
)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (significant(0.61708), "0.617"),
        (significant(9.999), "10.0"),
        (significant(1234.5), "1,230"),
        (significant(0), "0"),
        (significant(-0.6), "\N{MINUS SIGN}0.600"),
        (significant(0.00041, 2), "0.00041"),
        (amount(37_016_576), "37.0 M"),
        (amount(3_664_000_000), "3.66 G"),
        (amount(812), "812"),
        (tick_amount(50_000_000), "50 M"),
        (percent(0.0821), "8.2 %"),
        (short_percent(0.125), "12.5 %"),
        (short_percent(0.25), "25 %"),
        (percent(-0.03, 0), "\N{MINUS SIGN}3 %"),
        (points(0.01), "1.0 point"),
        (points(-0.021), "2.1 points"),
        (signed_points(0.0001), "0.0"),
        (signed_points(-0.0001), "0.0"),
        (signed_points(0.007), "+0.7"),
        (times(1.94), "1.94\N{MULTIPLICATION SIGN}"),
        (times(123.0), "120\N{MULTIPLICATION SIGN}"),
    ],
)
def test_figures_have_as_many_digits_as_they_are_worth(got: str, expected: str) -> None:
    assert got == expected
