"""The Pareto front: what nothing else beats in everything at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def pareto_front(
    items: Sequence[Item],
    *,
    gain: Callable[[Item], float],
    costs: Sequence[Callable[[Item], float]],
) -> list[Item]:
    """Items that no other one beats or equals all round, by rising first cost.

    One item dominates another where its gain is no less and each cost is no more, and one of
    them is strictly better. Of items equal all round the first stays.
    """

    def dominates(one: Item, other: Item) -> bool:
        differences = [gain(one) - gain(other), *(cost(other) - cost(one) for cost in costs)]
        return min(differences) >= 0 and max(differences) > 0

    def repeats(item: Item, earlier: Sequence[Item]) -> bool:
        mine = [gain(item), *(cost(item) for cost in costs)]
        return any(mine == [gain(one), *(cost(one) for cost in costs)] for one in earlier)

    front = [
        item
        for place, item in enumerate(items)
        if not any(dominates(other, item) for other in items) and not repeats(item, items[:place])
    ]
    return sorted(front, key=costs[0])
