"""Subscriptions of all sessions, found by topic and by session without walking through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amqtt.session import Session
from paho.mqtt.matcher import MQTTMatcher

#: A filter of more levels is refused: topics of ours have five, and matching recurses.
MOST_LEVELS = 32


class Subscription:
    """One filter of one session."""

    __slots__ = ("is_wildcard", "qos", "session", "topic_filter")

    def __init__(self, session: Session, topic_filter: str, qos: int) -> None:
        self.session = session
        self.topic_filter = topic_filter
        self.qos = qos
        #: Who asks for many topics at once hears many publishers.
        self.is_wildcard = "+" in topic_filter or "#" in topic_filter


class Subscriptions:
    """An index by topic (paho's tree of topic levels) and one by client id."""

    def __init__(self) -> None:
        #: Subscriptions of each filter by client id.
        self._by_filter: Any = MQTTMatcher()  # type: ignore[no-untyped-call] # paho's
        self._by_client: dict[str, dict[str, Subscription]] = {}

    def add(self, session: Session, topic_filter: str, qos: int) -> None:
        """Subscribe a session; the same filter again replaces the earlier one."""
        subscription = Subscription(session, topic_filter, qos)
        self._by_client.setdefault(session.client_id, {})[topic_filter] = subscription
        try:
            of_filter = self._by_filter[topic_filter]
        except KeyError:
            of_filter = self._by_filter[topic_filter] = {}
        of_filter[session.client_id] = subscription

    def remove(self, client_id: str, topic_filter: str) -> None:
        """End a subscription where there is one."""
        of_client = self._by_client.get(client_id, {})
        if of_client.pop(topic_filter, None) is None:
            return
        if not of_client:
            del self._by_client[client_id]
        of_filter = self._by_filter[topic_filter]
        del of_filter[client_id]
        if not of_filter:
            del self._by_filter[topic_filter]

    def remove_all(self, client_id: str) -> None:
        """End every subscription of a client."""
        for topic_filter in list(self._by_client.get(client_id, ())):
            self.remove(client_id, topic_filter)

    def matching(self, topic: str) -> Iterator[Subscription]:
        """Every subscription whose filter matches a topic."""
        for of_filter in self._by_filter.iter_match(topic):
            yield from of_filter.values()
