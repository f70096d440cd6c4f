"""agent.toml: what deploy knows, over what the operator wrote."""

from __future__ import annotations

import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import EXAMPLE
from contract.settings import KEYS
from fleet.commands.deploy import deploy
from fleet.deploy.preparation import option_name
from fleet.deploy.settings import (
    merge_settings,
    parse_assignment,
    parse_assignments,
    reach_mistake,
    setting_mistake,
)
from fleet.errors import DeployError, OrderError

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
    wrong = {key for key, value in example.items() if setting_mistake(key, value) is not None}
    assert wrong == {
        "site", "device", "username", "broker", "bundles", "state_dir", "ca_file", "password_file",
    }  # fmt: skip


OPTIONS = {one for option in deploy.params for one in option.opts}


@pytest.mark.parametrize("key", KEYS)
def test_advice_names_options_that_there_are(key: str) -> None:
    mistake = setting_mistake(key, {}, named=option_name)
    assert mistake is not None
    assert set(re.findall(r"--[a-z-]+", mistake.advice)) <= OPTIONS | {"--help"}


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("threads", 4, "a list in brackets with at least one item, each a whole number, 1 or more"),
        ("threads", [], "with at least one item, each a whole number, 1 or more, got []"),
        ("variants", "net", 'expected a list in brackets, each text, got "net"'),
        ("memory_limit_mb", 1e-9, "a number, 1 or more, at most 1000000000, got 1e-09"),
        ("memory_limit_mb", 0, "a number, 1 or more, at most 1000000000, got 0"),
        ("timeout_s", "x", 'a number, above 0, at most 1000000000, got "x"'),
        ("serve_port", 70000, "a whole number, 0 or more, at most 65535, got 70000"),
        ("serve_fast_decode", "yes", 'expected true or false, got "yes"'),
        ("mode", "quik", 'expected one of quick, sustained, got "quik"'),
        ("log_level", 1, "expected one of debug, error, info, warning, got 1"),
        ("log_file", "", 'expected some text, got ""'),
        ("serve_host", "", 'expected some text, got ""'),
        ("rounds", {"a": 1}, "got a table"),
        ("rounds", [{"a": 1}], "got a list with other things in it"),
    ],
)
def test_a_wrong_value_is_told_in_words_of_toml(key: str, value: object, said: str) -> None:
    mistake = setting_mistake(key, value)
    assert mistake is not None
    assert said in mistake.problem


def test_two_values_or_a_key_twice_are_no_assignment() -> None:
    """What comes after the first value would be dropped without a word."""
    with pytest.raises(OrderError, match="expected one value, got site beside it"):
        parse_assignment('threads=[1]\nsite="x"')
    with pytest.raises(OrderError, match="--set rounds: expected each key once"):
        parse_assignments(["rounds=1", "threads=[1]", "rounds=2"])
    assert parse_assignment("threads=[\n1,\n2]") == ("threads", [1, 2])


def test_a_server_that_others_reach_has_to_be_allowed() -> None:
    for host in ("0.0.0.0", "::", "box.example"):  # noqa: S104 - it is refused
        mistake = reach_mistake({"serve_host": host})
        assert mistake is not None
        assert "serve_allow_remote" in mistake.advice
        assert reach_mistake({"serve_host": host, "serve_allow_remote": True}) is None
    assert reach_mistake({"serve_host": "::1"}) is None
    assert reach_mistake({}) is None


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
