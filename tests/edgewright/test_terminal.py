"""What strangers' text becomes before it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.terminal import CELL_CHARACTERS, visible, visible_lines
from support.hostile import HOSTILE, PLAIN_END, unfit

#: Any, lone surrogates as well.
ANY_TEXT = st.text(st.characters())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x7f\x9b", r"\x7f\x9b"),
        ("\u202eabc\u2066\u061c", r"\u202eabc\u2066\u061c"),
        ("\u200b\u200c\u200d\ufeff\u00ad", r"\u200b\u200c\u200d\ufeff\xad"),
        ("\u2028\u2029\x85", r"\u2028\u2029\x85"),
        ("\udc80\ue000\U000e0041", r"\udc80\ue000\U000e0041"),
        ("\u3164\ufe0f\U000e0100\u2800", r"\u3164\ufe0f\U000e0100\u2800"),
        ("a\u00a0b", r"a\xa0b"),
        ("Grüße, \N{GREEK SMALL LETTER MU}s, 東京, [red] :skull:", None),
    ],
)
def test_what_acts_or_hides_is_spelt_out_and_letters_stay(text: str, shown: str | None) -> None:
    assert visible(text) == (text if shown is None else shown)


@given(ANY_TEXT)
def test_no_text_brings_anything_unseen(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert not unfit(shown, allowed="".join(one for one in text if one.isprintable()))


@given(ANY_TEXT, st.integers(min_value=1, max_value=40))
def test_a_bound_holds_and_what_fits_is_whole(text: str, most: int) -> None:
    shown = visible(text, most)
    assert len(shown) <= most
    assert shown == visible(text) or shown.endswith("…")


def test_a_text_of_a_hundred_megabytes_costs_what_is_shown_of_it() -> None:
    assert visible("\x1b" * 100_000_000, CELL_CHARACTERS).startswith(r"\x1b\x1b")


def test_lines_stay_where_a_text_has_some_by_right_and_are_shown_one_by_one() -> None:
    assert visible_lines("a\n\tb\x1b\r\nc\u2028d") == ["a", "\\tb\\x1b\\r", "c\\u2028d"]


def test_what_looks_like_markup_is_text() -> None:
    assert visible(HOSTILE).endswith(PLAIN_END)
    assert not unfit(visible(HOSTILE))
