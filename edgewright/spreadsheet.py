"""Keeps text in CSV files from being run or hidden by what opens them."""

from __future__ import annotations

import unicodedata

from edgewright.terminal import is_shown, visible

#: A spreadsheet takes a cell that begins so for a formula, and runs it (CWE-1236).
_SIGNS = "=+-@"
#: Some take these for the end of nothing, and look at what follows.
_BREAKS = ("\t", "\r", "\n")
#: A cell may have several lines and columns within.
CELL_BREAKS = "\t\r\n"


def spreadsheet_text(text: str, *, kept: str = CELL_BREAKS) -> str:
    """`text` for a CSV cell: no formula, and nothing in it that is not seen.

    A quote stands before what begins with one of the signs of formulas, in whatever width, also
    after blanks, line breaks and characters without a shape.

    Args:
        text: what somebody else wrote; numbers are not for here, they stay numbers.
        kept: characters that are not spelt out.
    """
    shown = visible(text, kept=kept)
    return f"'{shown}" if _may_be_formula(text) else shown


def _may_be_formula(text: str) -> bool:
    if text.startswith(_BREAKS):
        return True
    first = next((one for one in text if is_shown(one) and not one.isspace()), "")
    return bool(first) and unicodedata.normalize("NFKC", first)[0] in _SIGNS
