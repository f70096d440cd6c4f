"""Topics carry identity; only well-formed ones are read or written."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import TopicError
from contract.topics import Leaf, device_filters, parse_name, parse_topic, topic_for

ids = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)


@given(site=ids, device=ids, leaf=st.sampled_from(Leaf))
def test_a_topic_parses_to_what_it_was_made_of(site: str, device: str, leaf: Leaf) -> None:
    parsed = parse_topic(topic_for(site, device, leaf))
    assert (parsed.site, parsed.device, parsed.leaf) == (site, device, leaf)


@pytest.mark.parametrize("device", ["", "Pi", "a/b", "+", "#", "a b", "x" * 65, "pi\n"])
def test_an_invalid_identifier_is_refused(device: str) -> None:
    with pytest.raises(TopicError, match="1 to 64 of a-z"):
        topic_for("home", device, Leaf.STATE)


@given(site=ids, device=ids)
def test_a_full_name_has_site_and_device(site: str, device: str) -> None:
    assert parse_name(f"{site}/{device}") == (site, device)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("pi", "expected SITE/DEVICE"),
        ("", "expected SITE/DEVICE"),
        ("/pi", "site ''"),
        ("home/", "device ''"),
        ("home/pi/4", "device 'pi/4'"),
    ],
)
def test_another_name_is_refused(name: str, problem: str) -> None:
    with pytest.raises(TopicError, match=problem):
        parse_name(name)


@pytest.mark.parametrize(
    "topic",
    ["", "edgewright", "edgewright/v2/a/b/state", "edgewright/v1/a/b", "edgewright/v1/a/b/what"],
)
def test_a_foreign_topic_is_refused(topic: str) -> None:
    with pytest.raises(TopicError):
        parse_topic(topic)


@given(st.text(max_size=80))
def test_any_text_parses_or_is_a_topic_error(text: str) -> None:
    with contextlib.suppress(TopicError):
        assert str(parse_topic(text)) == text


def test_the_collector_reads_what_devices_report_and_no_answers() -> None:
    leaves = {filter_.rsplit("/", 1)[1] for filter_ in device_filters()}
    assert leaves == {"state", "inventory", "result", "update"}
