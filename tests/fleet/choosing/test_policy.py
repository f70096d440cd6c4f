"""Policies: what they say for a device, and where they are wrong."""

from __future__ import annotations

import codecs
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.group import group_fault
from fleet.choosing.policy import load_policy, parse_policy, ready_policies
from fleet.choosing.policy_document import read_document
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


def test_the_ready_policies_load_by_name() -> None:
    assert ready_policies() == ["fastest", "least-energy", "most-accurate"]
    assert [load_policy(name).name for name in ready_policies()] == ready_policies()


def test_a_policy_loads_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "house.toml"
    path.write_text(FULL)
    assert load_policy(str(path)).name == "house"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            ("p95_ms <= 150", "p95_ms < 150"),
            (
                "p.toml:3:16: constraints[0]: expected METRIC <= NUMBER or METRIC >= NUMBER, got "
                "'p95_ms < 150'; write it such as 'p95_ms <= 150'"
            ),
        ),
        (
            ("peak_rss_mb <= 512", "paek_rss_mb <= 512"),
            (
                "p.toml:3:34: constraints[1]: expected a metric, one of p50_ms, p95_ms, load_ms, "
                "first_ms, energy_mj, peak_rss_mb, size_mb, top1, top3, top1_drop, got "
                "'paek_rss_mb <= 512'; did you mean 'peak_rss_mb'?"
            ),
        ),
        (
            ("p95_ms <= 150", "p95_ms >= 150"),
            (
                "p.toml:3:24: constraints[0]: expected '<=', for p95_ms is better when lower, got "
                "'p95_ms >= 150'; write 'p95_ms <= 150'"
            ),
        ),
        (
            ("p95_ms <= 150", "p95_ms <= 1e999"),
            (
                "p.toml:3:27: constraints[0]: expected a finite number after '<=', got "
                "'p95_ms <= 1e999'; write it such as 'p95_ms <= 150'"
            ),
        ),
        (
            ("top1_drop <= 0.01", "top1_drop <= 5"),
            (
                "p.toml:3:69: constraints[2]: expected a share from 0 to 1 for top1_drop, got "
                "'top1_drop <= 5'; for 5 % write 0.05"
            ),
        ),
        (
            ("peak_rss_mb <= 400", "peak_rss_mb < 4"),
            (
                "p.toml:8:16: groups.small.constraints[0]: expected METRIC <= NUMBER or METRIC >= "
                "NUMBER, got 'peak_rss_mb < 4'; write it such as 'p95_ms <= 150'"
            ),
        ),
        (
            ("max top1", "min top1"),
            (
                "p.toml:4:16: objectives[0]: expected 'max', for top1 is better when higher, got "
                "'min top1'; write 'max top1'"
            ),
        ),
        (
            ("max top1", "top1"),
            (
                "p.toml:4:15: objectives[0]: expected 'min METRIC' or 'max METRIC', got 'top1'; "
                "write it such as 'max top1'"
            ),
        ),
        (
            ("top1_drop <= 0.01", "p95_ms <= 9"),
            (
                "p.toml:3:55: constraints[2]: expected each metric once, got p95_ms again; "
                "constraints[0] has it already; keep one of them"
            ),
        ),
        (
            ("[sites.lab]", "[site.lab]"),
            (
                "p.toml:5:2: site: expected one of name, constraints, objectives, evidence, sites, "
                "groups, devices, got 'site'; did you mean 'sites'?"
            ),
        ),
        (
            ('name = "house"', "name = 5"),
            'p.toml:2:8: name: expected a name in quotes, got 5; write it such as name = "ours"',
        ),
        (
            ('name = "house"', ""),
            (
                "p.toml:1:1: name: expected a name in quotes, got nothing; write it such as name = "
                '"ours"'
            ),
        ),
        (
            ('["max top1", "min p95_ms"]', "[]"),
            (
                "p.toml:4:14: objectives: expected at least one objective, got an empty list; add "
                'objectives = ["max top1"]'
            ),
        ),
        (
            ('[devices."lab/box"]', "[devices.box]"),
            (
                "p.toml:11:10: devices.box: expected SITE/DEVICE, each of 1 to 64 characters a-z, "
                "0-9, _ and -, got 'box'; write it such as [devices.\"plant-7/press-03\"]"
            ),
        ),
        (
            ("[groups.old]", '[groups."o/ld"]'),
            (f'p.toml:9:9: groups."o/ld": {group_fault("o/ld")}; write it such as [groups.pi4]'),
        ),
        (
            ("[groups.old]", "[groups.old.evidence]\nmin_samples = true"),
            (
                "p.toml:10:15: groups.old.evidence.min_samples: expected a whole number from 0, "
                "got true; write it without quotes; 0 asks for nothing"
            ),
        ),
        (
            ("[groups.old]", "[groups.old.evidence]\nmax_age_day = 3"),
            (
                "p.toml:10:1: groups.old.evidence.max_age_day: expected one of min_samples, "
                "min_processes, max_age_days, max_interval, min_accuracy_images, got "
                "'max_age_day'; did you mean 'max_age_days'?"
            ),
        ),
        (
            ("[groups.old]", "[[groups.old]]"),
            (
                "p.toml:9:10: groups.old: expected a table such as [groups.pi4], got a list; "
                "give it a heading in single brackets"
            ),
        ),
        (
            ('name = "house"', "name = "),
            (
                "p.toml:2:8: expected TOML, got something else (invalid value); mend the syntax "
                "here or just before; other mistakes are looked for afterwards"
            ),
        ),
        (
            ("[groups.old]", "[groups.small]"),
            (
                "p.toml:9:2: groups.small: expected each key once, got it again; it stands "
                "first in line 7; keep one of them"
            ),
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(changes: tuple[str, str], said: str) -> None:
    assert FULL.count(changes[0]) >= 1
    with pytest.raises(PolicyError) as error:
        parse_policy(FULL.replace(changes[0], changes[1], 1), source="p.toml")
    known = [line for line in str(error.value).splitlines() if not line.endswith("mistakes")]
    assert said in known


def test_all_mistakes_of_a_file_are_told_at_once_from_top_to_bottom() -> None:
    wrong = FULL.replace("p95_ms <= 150", "p59_ms <= 150").replace("[groups.old]", '[groups." "]')
    wrong = wrong.replace('name = "house"', 'name = "house"\nname = "home"')
    with pytest.raises(PolicyError) as error:
        parse_policy(wrong, source="p.toml")
    first, *lines = str(error.value).splitlines()
    assert first == "p.toml: 3 mistakes"
    assert [line.split(": ")[0] for line in lines] == ["p.toml:3:1", "p.toml:4:17", "p.toml:10:9"]


@given(st.text(alphabet="[]{}=.,\"'\\# \naé\t1", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    for whole in (text, FULL + text, text + FULL):
        document = read_document(whole, source="x.toml")
        for one in document.mistakes:
            assert 1 <= one.line <= whole.count("\n") + 1
            assert 1 <= one.column <= len(whole.split("\n")[one.line - 1]) + 1


def test_brackets_without_end_are_a_mistake() -> None:
    (mistake,) = read_document("a = " + "[" * 5000 + "]" * 5000, source="x.toml").mistakes
    assert "hundreds of levels" in str(mistake)


@pytest.mark.parametrize("wrong", [b"", b"# caf\xe9\n"])
def test_a_byte_order_mark_is_no_part_of_a_file_and_moves_no_place(
    tmp_path: Path, wrong: bytes
) -> None:
    path = tmp_path / "marked.toml"
    path.write_bytes(codecs.BOM_UTF8 + wrong + FULL.encode())
    if not wrong:
        assert load_policy(str(path)).name == "house"
        return
    with pytest.raises(PolicyError, match=r"marked\.toml:1:6: expected UTF-8"):
        load_policy(str(path))


def test_a_file_that_is_no_text_is_named_with_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'name = "ours"\n# caf\xe9\n')
    with pytest.raises(PolicyError, match=r"latin\.toml:2:6: expected UTF-8, got the byte 0xe9"):
        load_policy(str(path))


def test_evidence_is_asked_for_by_the_most_specific_part_that_says_so() -> None:
    text = FULL + (
        "[evidence]\nmin_samples = 100\nmax_age_days = 90\n"
        "[sites.hall.evidence]\nmin_samples = 50\n"
        "[groups.free.evidence]\nmin_samples = 0\nmax_age_days = inf\n"
    )
    policy = parse_policy(text, source="x")

    def asked(site: str, *groups: str) -> list[tuple[str, str]]:
        return [(str(one), one.origin) for one in policy.terms_for(site, "x", groups).asked]

    assert asked("lab") == [("min_samples = 100", "policy"), ("max_age_days = 90", "policy")]
    assert asked("hall")[0] == ("min_samples = 50", "site hall")
    assert asked("hall", "free") == []


def test_terms_that_ask_for_no_evidence_are_stored_as_they_always_were() -> None:
    stored = msgspec.json.encode(parse_policy(FULL, source="x").terms_for("a", "b", []))
    assert set(msgspec.json.decode(stored)) == {"policy", "constraints", "objectives"}


def test_an_unknown_name_gets_the_nearest_ready_policy() -> None:
    with pytest.raises(PolicyError, match="did you mean 'fastest'"):
        load_policy("fastets")


def test_a_missing_file_is_named_with_the_ready_policies(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"No such file.*fastest, least-energy, most"):
        load_policy(str(tmp_path / "none.toml"))


@pytest.mark.parametrize("value", ["1" + "0" * 5_000, "[" * 3_000])
def test_what_no_reader_of_toml_takes_is_a_mistake_too(value: str) -> None:
    with pytest.raises(PolicyError, match="expected TOML, got something else"):
        parse_policy(f'name = "house"\nx = {value}\n', source="p.toml")
