"""What an account may do, as a pure decision."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.topics import Leaf, device_filters, topic_for
from fleet.authority.rules import FLEET, TRIALS, may_read, may_write, mosquitto_acl

ids = st.from_regex(r"[a-z0-9_-]{1,6}", fullmatch=True)


@given(ids, ids, ids, ids, st.sampled_from(Leaf))
def test_a_device_does_what_is_its_own_and_nothing_else(
    site: str, device: str, at: str, who: str, leaf: Leaf
) -> None:
    topic, account = topic_for(site, device, leaf), f"{at}/{who}"
    is_own = (site, device) == (at, who)
    assert may_write(account, topic) is (is_own and leaf.from_device)
    assert may_read(account, topic) is (is_own and not leaf.from_device)


@given(ids, ids, st.sampled_from(Leaf))
def test_the_fleet_does_the_opposite(site: str, device: str, leaf: Leaf) -> None:
    topic = topic_for(site, device, leaf)
    assert may_write(FLEET, topic) is not leaf.from_device
    assert may_read(FLEET, topic) is leaf.from_device


def test_wildcards_are_for_the_fleet() -> None:
    for topic_filter in device_filters():
        assert may_read(FLEET, topic_filter)
        assert not may_read("lab/box", topic_filter)


@pytest.mark.parametrize("account", ["lab/box", FLEET, "", "lab", "+/+", "lab/+"])
@pytest.mark.parametrize(
    "topic",
    [
        "#",
        "+/+/+/+/+",
        "edgewright/v1/lab/+/ack",
        "edgewright/v1/lab/box/#",
        "edgewright/v1/+/+/ack",
        "$SYS/broker/version",
        "edgewright/v1/lab/box/state/more",
        "edgewright/v2/lab/box/ack",
        "",
    ],
)
def test_nobody_has_to_do_with_anything_else(account: str, topic: str) -> None:
    assert not may_read(account, topic)
    assert not may_write(account, topic)


def test_mosquitto_is_told_every_leaf_once_for_each_side() -> None:
    lines = mosquitto_acl().splitlines()
    for leaf in Leaf:
        device, fleet = ("write", "read") if leaf.from_device else ("read", "write")
        assert f"pattern {device} edgewright/v1/%u/{leaf}" in lines
        assert f"topic {fleet} edgewright/v1/+/+/{leaf}" in lines
    rules = [line for line in lines if line.startswith(("topic", "pattern"))]
    assert len(rules) == 2 * len(Leaf) + 1


def test_the_fleet_alone_tries_a_broker_below_topics_of_their_own() -> None:
    for topic in (f"{TRIALS}/run/lab/box/result", f"{TRIALS}/run/+/+/result"):
        for may in (may_write, may_read):
            assert may(FLEET, topic)
            assert not may("lab/box", topic)
            assert not may(FLEET, f"{TRIALS}-{topic}")
    assert f"topic readwrite {TRIALS}/#" in mosquitto_acl().splitlines()
