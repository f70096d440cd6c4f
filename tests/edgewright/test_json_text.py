"""JSON that may be looked at."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from edgewright.json_text import escaped_json, json_text
from support.hostile import HOSTILE, unfit

VALUES = st.recursive(
    st.text(st.characters()) | st.integers(-(2**53), 2**53) | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES, st.sampled_from([None, 2]))
def test_the_value_is_the_same_and_nothing_hides(value: object, indent: int | None) -> None:
    encoded = json_text(value, indent=indent)
    assert json.loads(encoded) == value
    shown = encoded.decode()
    assert not {one for one in shown if not one.isprintable() and one != "\n"}


def test_letters_stay_and_what_a_terminal_acts_on_is_escaped() -> None:
    assert json_text({"a": "é\x9b\u202e\x7f\U000e0041"}) == (
        '{"a":"é\\u009b\\u202e\\u007f\\udb40\\udc41"}'.encode()
    )
    assert not unfit(json_text([HOSTILE]).decode())


def test_names_of_files_that_are_no_unicode_can_be_told() -> None:
    assert json.loads(json_text({"file": "\udcff.png"})) == {"file": "\udcff.png"}


def test_what_is_escaped_already_stays() -> None:
    assert escaped_json(b'"\\u202e"') == b'"\\u202e"'
