"""A table made to fit a terminal: names stay whole, and lesser columns are left out."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.table import Column

from edgewright.console import Table

_GAP = 2
#: Room that the last column, mostly a sentence, is folded into before others are left out.
_SENTENCE = 24
#: What is asked for: it stays, and reasons go before it.
_ANSWER = "variant"
#: Headings that are left out first, in this order; others go from the right. The first column says
#: what a row is of, and the last one why; both stay as long as others can go.
_LESSER = (
    "begins with", "bytes", "times", "golden", "n", "on device", "alike", "teachers", "quarantined",
    "std dev", "p1", "p99.9", "p25", "p75", "mean", "p5", "size MB", "last", "last seen", "p50 ms",
    "speed-up", "results", "peak MB", "stored", "min", "max",
)  # fmt: skip


def fitted(table: Table, width: int | None) -> tuple[Table, list[str]]:
    """The table within `width` columns, and the headings that had to be left out.

    Without a width every row takes one line.
    """
    columns = list(table.columns)
    widths = {id(one): _natural(one) for one in columns}
    left_out: list[str] = []
    while width is not None and len(columns) > 2 and _least(columns, widths) > width:  # noqa: PLR2004 - first and last
        others = [one for one in columns[1:-1] if str(one.header) != _ANSWER]
        lesser = min(others, key=lambda one: _rank(one, columns), default=columns[-1])
        columns.remove(lesser)
        left_out.append(str(lesser.header))
    return _only(table, columns), left_out


def _rank(column: Column, columns: Sequence[Column]) -> int:
    heading = str(column.header)
    if heading in _LESSER:
        return _LESSER.index(heading)
    return len(_LESSER) + len(columns) - columns.index(column)


def _least(columns: Sequence[Column], widths: dict[int, int]) -> int:
    """Width with every column but the last one whole."""
    *whole, last = (widths[id(one)] for one in columns)
    return sum(whole) + _GAP * len(whole) + min(last, _SENTENCE)


def _natural(column: Column) -> int:
    cells = [column.header, *column.cells]
    return max(cell_len(str(cell)) for cell in cells)


def _only(table: Table, columns: Sequence[Column]) -> Table:
    made = Table(box=table.box, pad_edge=table.pad_edge, header_style=table.header_style)
    for column in columns:
        made.add_column(
            column.header,
            justify=column.justify,
            overflow="fold",
            no_wrap=column is not columns[-1],
        )
    cells = zip(*(column.cells for column in columns), strict=True)
    for row, values in zip(table.rows, cells, strict=True):
        made.add_row(*values, style=row.style)
    return made
