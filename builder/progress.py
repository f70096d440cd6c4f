"""How long work tells whoever waits for it; the builder itself prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")


class Progress(Protocol):
    """Receives the state of one activity at a time."""

    def update(self, activity: str, done: int, total: int) -> None:
        """Take note that `done` of `total` steps of `activity` are finished."""


class Silence:
    """Progress that nobody watches."""

    def update(self, activity: str, done: int, total: int) -> None:
        """Do nothing."""


def tracked(
    items: Iterable[Item],
    progress: Progress,
    activity: str,
    total: int,
) -> Iterator[Item]:
    """Yield `items`, reporting each as done when the next one is asked for."""
    progress.update(activity, 0, total)
    for done, item in enumerate(items, start=1):
        yield item
        progress.update(activity, done, total)
