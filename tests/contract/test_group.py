"""The one rule for names of groups."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from contract.errors import GroupError
from contract.group import GROUP_RULE, LONGEST_GROUP, check_group
from contract.settings import AgentSettings, expected_instead

REQUIRED: dict[str, Any] = {
    "site": "lab", "device": "box", "broker": "mqtt://127.0.0.1", "bundles": "b", "state_dir": "s",
}  # fmt: skip
VALID = ["cold-hall", "Cold Hall", "Kältehalle", "冷", "v1.2", "g" * LONGEST_GROUP]
WRONG = ["", " ", " a", "a ", "a/b", "..", "*", "a\nb", "a\x1b[31m", "a\u202eb", "\ud800"]
WRONG += ["g" * (LONGEST_GROUP + 1)]


@pytest.mark.parametrize("name", VALID)
def test_a_valid_name_may_be_told_and_given(name: str) -> None:
    assert check_group(name) == name
    assert expected_instead("groups", [name]) is None
    assert msgspec.convert(REQUIRED | {"groups": [name]}, AgentSettings).groups == [name]


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_name_is_refused_everywhere_in_the_same_words(name: str) -> None:
    with pytest.raises(GroupError) as found:
        check_group(name)
    words = str(found.value).removesuffix("; rename it")
    assert f"'{name[:80]}'" in words
    with pytest.raises(msgspec.ValidationError) as of_file:
        msgspec.convert(REQUIRED | {"groups": ["fine", name]}, AgentSettings)
    assert str(of_file.value) == words
    assert GROUP_RULE in words
    assert GROUP_RULE in (expected_instead("groups", ["fine", name]) or "")
