"""Retained messages, found by a topic filter without walking through them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

#: Next levels by their names; under `_HERE` the topic that ends at this level.
_Node = dict[str | None, Any]
_HERE = None


class RetainedMessage(NamedTuple):
    """The last message of a topic that was to be kept."""

    payload: bytes
    qos: int


class RetainedMessages(dict[str, RetainedMessage]):
    """A dictionary by topic, with a tree of the topics' levels beside."""

    def __init__(self) -> None:
        super().__init__()
        self._root: _Node = {}

    def __setitem__(self, topic: str, message: RetainedMessage) -> None:
        """Keep a message in the place of the one before."""
        if topic not in self:
            node = self._root
            for level in topic.split("/"):
                node = node.setdefault(level, {})
            node[_HERE] = topic
        super().__setitem__(topic, message)

    def __delitem__(self, topic: str) -> None:
        """Forget a message, and the levels that only it has."""
        super().__delitem__(topic)
        path: list[tuple[_Node, str]] = []
        node = self._root
        for level in topic.split("/"):
            path.append((node, level))
            node = node[level]
        del node[_HERE]
        while path and not node:
            node, level = path.pop()
            del node[level]

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._root = {}

    def matching(self, topic_filter: str) -> list[str]:
        """Every topic that has a message and that a filter matches (MQTT 3.1.1, 4.7)."""
        if "+" not in topic_filter and "#" not in topic_filter:
            return [topic_filter] if topic_filter in self else []
        nodes = [self._root]
        levels = topic_filter.split("/")
        for depth, level in enumerate(levels):
            if level == "#":
                return [topic for node in nodes for topic in _below(node, is_first=depth == 0)]
            nodes = [found for node in nodes for found in _next(node, level, is_first=depth == 0)]
        return [node[_HERE] for node in nodes if _HERE in node]


def _next(node: _Node, level: str, *, is_first: bool) -> Iterator[_Node]:
    if level != "+":
        if level in node:
            yield node[level]
        return
    for name, found in node.items():
        if name is not _HERE and not (is_first and name.startswith("$")):
            yield found


def _below(node: _Node, *, is_first: bool) -> Iterator[str]:
    # Not recursive, for a topic may have thousands of levels.
    waiting = [
        found
        for name, found in node.items()
        if name is not _HERE and not (is_first and name.startswith("$"))
    ]
    if _HERE in node:
        yield node[_HERE]
    while waiting:
        node = waiting.pop()
        for name, found in node.items():
            if name is _HERE:
                yield found
            else:
                waiting.append(found)
