"""Does a piece of work for many items at once, and finds the one at which it fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from fleet.errors import FleetError, RowRefusedError, StoreFailedError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def by_halves(
    items: Sequence[_Item],
    work: Callable[[Sequence[_Item]], _Result],
    *,
    set_aside: Callable[[_Item, Exception], _Result],
    isolates_failures: bool = False,
) -> list[_Result]:
    """Results of the work on all items, or on parts of them where one makes it fail.

    One bad item among many costs a few tries, not one for each.

    Args:
        items: at least one.
        work: fails as a whole.
        set_aside: takes an item at which the work fails alone, and the error.
        isolates_failures: look for the item also where the store fails for no known reason.

    Raises:
        FleetError: what no item causes, such as a store that is away.
    """
    try:
        return [work(items)]
    except Exception as error:
        if not _may_be_of_an_item(error, isolates_failures=isolates_failures):
            raise
        failure = error
    if len(items) == 1:
        return [set_aside(items[0], failure)]
    middle = len(items) // 2
    return [
        result
        for half in (items[:middle], items[middle:])
        for result in by_halves(
            half, work, set_aside=set_aside, isolates_failures=isolates_failures
        )
    ]


def _may_be_of_an_item(error: Exception, *, isolates_failures: bool) -> bool:
    """Whether an item may be the cause of a failure: of the store, or of our own code."""
    if isinstance(error, StoreFailedError):
        return isolates_failures
    return isinstance(error, RowRefusedError) or not isinstance(error, FleetError)
