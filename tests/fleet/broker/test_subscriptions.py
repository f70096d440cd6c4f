"""Which subscriptions a topic has, and which topics a filter has, against paho's own matching."""

from __future__ import annotations

from amqtt.session import Session
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from fleet.broker.retained_messages import RetainedMessage, RetainedMessages
from fleet.broker.subscriptions import Subscriptions

LEVELS = st.sampled_from(["a", "b", "", "$x"])
TOPICS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)


@st.composite
def filters(draw: st.DrawFn) -> str:
    levels = draw(st.lists(st.one_of(LEVELS, st.just("+")), max_size=4))
    return "/".join([*levels, "#"] if draw(st.booleans()) or not levels else levels) or "#"


def session_of(client_id: str) -> Session:
    session = Session()
    session.client_id = client_id
    return session


@given(st.lists(filters(), min_size=1, max_size=5, unique=True), TOPICS)
def test_a_topic_finds_the_filters_that_match_it(chosen: list[str], topic: str) -> None:
    subscriptions = Subscriptions()
    for one in chosen:
        subscriptions.add(session_of("c"), one, 1)
    found = {one.topic_filter for one in subscriptions.matching(topic)}
    assert found == {one for one in chosen if topic_matches_sub(one, topic)}


@given(st.lists(TOPICS, max_size=8), st.lists(TOPICS, max_size=4), filters())
def test_a_filter_finds_the_retained_topics_that_it_matches(
    kept: list[str], cleared: list[str], topic_filter: str
) -> None:
    retained = RetainedMessages()
    for topic in kept:
        retained[topic] = RetainedMessage(topic.encode(), 1)
    for topic in set(cleared) & set(kept):
        del retained[topic]
    left = set(kept) - set(cleared)
    found = retained.matching(topic_filter)
    assert sorted(found) == sorted(one for one in left if topic_matches_sub(topic_filter, one))


def test_a_client_that_goes_takes_all_its_subscriptions_and_nobody_elses() -> None:
    subscriptions = Subscriptions()
    for client_id in ("goes", "stays"):
        for topic_filter in ("a/b", "a/+", "#"):
            subscriptions.add(session_of(client_id), topic_filter, 1)
    subscriptions.remove("stays", "#")
    subscriptions.remove_all("goes")
    left = [(one.session.client_id, one.topic_filter) for one in subscriptions.matching("a/b")]
    assert sorted(left) == [("stays", "a/+"), ("stays", "a/b")]


def test_the_same_filter_again_replaces_the_earlier_subscription() -> None:
    subscriptions = Subscriptions()
    for qos in (0, 1):
        subscriptions.add(session_of("c"), "a/b", qos)
    assert [one.qos for one in subscriptions.matching("a/b")] == [1]
