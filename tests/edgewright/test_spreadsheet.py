"""Text in cells of CSV files."""

from __future__ import annotations

import pytest

from edgewright.spreadsheet import spreadsheet_text

#: As they are, in full width, small, and raised.
SIGNS = [*"=+-@", *"\uff1d\uff0b\uff0d\uff20", *"\ufe66\ufe62\ufe63\ufe6b", *"\u207c\u207a"]
BEFORE = ["", " ", "  ", "\n", "\r", "\t", "\r\n ", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00"]


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", BEFORE)
def test_a_sign_of_formulas_gets_a_quote_whatever_hides_before_it(before: str, sign: str) -> None:
    shown = spreadsheet_text(f"{before}{sign}HYPERLINK(1)")
    assert shown.startswith("'")
    assert shown.endswith(f"{sign}HYPERLINK(1)")


@pytest.mark.parametrize("text", ["", " ", "a=b", "net-1", "1-2", "東京", "'x", "#1"])
def test_other_text_stays(text: str) -> None:
    assert spreadsheet_text(text) == text


def test_breaks_within_a_cell_stay_and_what_is_not_seen_is_spelt_out() -> None:
    assert spreadsheet_text("a\n\tb\r\x1b[2J\u202e") == "a\n\tb\r\\x1b[2J\\u202e"
    assert spreadsheet_text("a\n\tb\r", kept="") == r"a\n\tb\r"
