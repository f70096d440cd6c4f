"""agent.toml: what deploy knows, over what the operator wrote."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import EXAMPLE
from contract.settings import KEYS
from fleet.deploy.settings import merge_settings, parse_assignment, setting_mistake
from fleet.errors import DeployError

WRITTEN = """\
# Press 3, by the east door.
site = "plant-7"   # of two
broker = "mqtt://127.0.0.1:1883"
threads = [1, 4]
"""


def test_what_the_operator_wrote_stays_where_it_stood() -> None:
    merged = merge_settings(WRITTEN, {"site": "plant-7", "broker": "mqtts://fleet:8883"})
    assert merged == WRITTEN.replace("mqtt://127.0.0.1:1883", "mqtts://fleet:8883")


def test_the_same_settings_again_change_no_byte() -> None:
    assert merge_settings(WRITTEN, {"threads": [1, 4], "site": "plant-7"}) == WRITTEN


def test_a_key_without_a_value_goes() -> None:
    assert "broker" not in merge_settings(WRITTEN, {"broker": None})


def test_a_value_over_several_lines_is_replaced_whole() -> None:
    before = 'groups = [\n  "a",\n  "b",\n]\nsite = "x"\n'
    merged = tomllib.loads(merge_settings(before, {"groups": ["c"]}))
    assert merged == {"groups": ["c"], "site": "x"}


def test_settings_that_are_not_toml_are_refused() -> None:
    with pytest.raises(DeployError, match=r"agent\.toml on the box"):
        merge_settings("site = \n", {})


def test_every_key_of_the_agents_example_is_known_with_its_value() -> None:
    example = tomllib.loads(EXAMPLE)
    assert set(example) == set(KEYS)
    assert {key: setting_mistake(key, value) for key, value in example.items()} == dict.fromkeys(
        KEYS
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("threads=[1, 4]", [1, 4]),
        ("memory_limit_mb=420", 420),
        ("mode=sustained", "sustained"),
        ('log_level="debug"', "debug"),
        ("emulates=a = b", "a = b"),
    ],
)
def test_a_value_on_the_command_line_is_toml_or_text(text: str, value: object) -> None:
    key, parsed = parse_assignment(text)
    assert key == text.partition("=")[0]
    assert parsed == value


values = st.recursive(
    st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), values, max_size=4))
def test_any_settings_come_back_as_they_were_written(settings: dict[str, object]) -> None:
    assert tomllib.loads(merge_settings("", settings)) == settings
