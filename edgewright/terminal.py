"""Makes text that others wrote fit to be shown: on a terminal, in a log, in a table's cell."""

from __future__ import annotations

import codecs
import re

#: Looked up at once: a process that has all files open that it may have could not later, and would
#: log nothing but that.
_SPELLING = codecs.lookup("unicode_escape")
#: A cell of a table shows so much of a text; `--json` has all of it.
CELL_CHARACTERS = 200
#: Likewise a sentence or a log's line, whose own words are few.
LINE_CHARACTERS = 2_000
#: Characters that count as printable and have no shape of their own (Unicode's "default
#: ignorable" ones and the blank pattern of Braille): text may hide in them.
_SHAPELESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
_CUT = "\N{HORIZONTAL ELLIPSIS}"


def visible(text: str, most: int | None = None, *, kept: str = "") -> str:
    r"""`text` with everything spelt out that a terminal acts on or does not show (`\x1b`).

    Reasons, notes, labels, file names and topics are strangers' words. Sent to a terminal as they
    are, they could move its cursor, rename its window, turn the order of letters around, hide a
    part, or begin a line that looks like one of ours. Spelt out are Unicode's categories Cc (with
    line breaks and tabs), Cf (joiners of emoji and scripts too), Cs, Co, Cn, Zl, Zp, all spaces
    but the common one, and what has no shape of its own.

    Args:
        text: of any length; where it is longer than `most`, it costs no more than that.
        most: characters to return; what is longer ends in an ellipsis.
        kept: characters that stay as they are, such as line breaks in text of several lines.
    """
    is_cut = most is not None and len(text) > most
    shown = _spelt_out(text[:most] if is_cut else text, kept)
    if most is None or (len(shown) <= most and not is_cut):
        return shown
    return shown[: most - 1] + _CUT


def visible_lines(text: str) -> list[str]:
    """Lines of a text that has several by right, such as a traceback, each fit to be shown."""
    return [visible(line, LINE_CHARACTERS) for line in text.split("\n")]


def is_shown(character: str) -> bool:
    """Whether a terminal shows this character, as itself and at its place."""
    return character.isprintable() and not _SHAPELESS.match(character)


def _spelt_out(text: str, kept: str) -> str:
    if text.isprintable() and (text.isascii() or not _SHAPELESS.search(text)):
        return text
    return "".join(
        one if is_shown(one) or one in kept else _SPELLING.encode(one)[0].decode() for one in text
    )
