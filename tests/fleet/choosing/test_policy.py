"""Policies: what they say for a device, and where they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.choosing.policy import load_policy, parse_policy, ready_policies
from fleet.errors import PolicyError

FULL = """
name = "house"
constraints = ["p95_ms <= 150", "peak_rss_mb <= 512", "top1_drop <= 0.01"]
objectives = ["max top1", "min p95_ms"]
[sites.lab]
constraints = ["p95_ms <= 100"]
[groups.small]
constraints = ["peak_rss_mb <= 400", "p95_ms <= 90"]
[groups.old]
constraints = ["p95_ms <= 300"]
[devices."lab/box"]
constraints = ["peak_rss_mb <= 350"]
objectives = ["min p95_ms"]
"""


def limits(site: str, device: str, *groups: str) -> list[str]:
    terms = parse_policy(FULL, source="house.toml").terms_for(site, device, groups)
    return [str(one) for one in terms.constraints]


def test_without_an_override_the_policy_itself_holds() -> None:
    assert limits("hall", "x") == ["p95_ms <= 150", "peak_rss_mb <= 512", "top1_drop <= 0.01"]


def test_a_more_specific_limit_replaces_that_of_the_same_metric() -> None:
    assert limits("lab", "x") == ["p95_ms <= 100", "peak_rss_mb <= 512", "top1_drop <= 0.01"]
    assert limits("lab", "x", "small")[:2] == ["p95_ms <= 90", "peak_rss_mb <= 400"]
    assert limits("lab", "box", "small")[:2] == ["p95_ms <= 90", "peak_rss_mb <= 350"]


def test_of_several_groups_the_later_in_the_file_wins() -> None:
    assert limits("hall", "x", "old", "small")[0] == "p95_ms <= 300"


def test_a_limit_remembers_which_part_of_the_policy_set_it() -> None:
    terms = parse_policy(FULL, source="x").terms_for("lab", "box", ["small"])
    assert [one.origin for one in terms.constraints] == ["group small", "device lab/box", "policy"]


def test_an_override_can_change_the_objectives() -> None:
    policy = parse_policy(FULL, source="x")
    assert [str(one) for one in policy.terms_for("lab", "box", []).objectives] == ["min p95_ms"]
    assert len(policy.terms_for("lab", "other", []).objectives) == 2


def test_both_ready_policies_load_by_name() -> None:
    assert ready_policies() == ["fastest", "most-accurate"]
    assert [load_policy(name).name for name in ready_policies()] == ready_policies()


def test_a_policy_loads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_text(FULL)
    assert load_policy(str(path)).name == "house"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("p95_ms <= 150", "p95_ms < 150"), r"p\.toml: constraints\[0\] 'p95_ms < 150': expected"),
        (("p95_ms <= 150", "p59_ms <= 150"), r"constraints\[0\]: unknown metric 'p59_ms'"),
        (("p95_ms <= 150", "p95_ms >= 150"), "p95_ms is better when lower"),
        (("p95_ms <= 150", "p95_ms <= 1e999"), "expected a number after <="),
        (("top1_drop <= 0.01", "top1_drop <= 5"), "share from 0 to 1"),
        (("peak_rss_mb <= 400", "peak_rss_mb < 4"), r"groups\.small\.constraints\[0\]"),
        (("max top1", "min top1"), r"objectives\[0\] 'min top1': expected 'max top1'"),
        (("max top1", "top1"), r"objectives\[0\] 'top1': expected 'min METRIC' or 'max METRIC'"),
        (("top1_drop <= 0.01", "p95_ms <= 9"), "each metric once, got p95_ms twice"),
        (("[sites.lab]", "[site.lab]"), "unknown field `site`"),
        (('name = "house"', "name = 5"), r"Expected `str`, got `int` - at `\$\.name`"),
        (('["max top1", "min p95_ms"]', "[]"), "objectives: expected at least one"),
        (('[devices."lab/box"]', "[devices.box]"), "SITE/DEVICE"),
        (('name = "house"', "name = "), "line 2"),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: tuple[str, str], said: str) -> None:
    with pytest.raises(PolicyError, match=said):
        parse_policy(FULL.replace(*changes), source="p.toml")


def test_an_unknown_name_gets_the_nearest_ready_policy() -> None:
    with pytest.raises(PolicyError, match="did you mean 'fastest'"):
        load_policy("fastets")


def test_a_missing_file_is_named_with_the_ready_policies(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"No such file.*fastest, most-accurate"):
        load_policy(str(tmp_path / "none.toml"))
