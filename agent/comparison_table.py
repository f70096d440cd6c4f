"""Table for people: what several variants say of one image."""

from __future__ import annotations

from rich import box
from rich.markup import escape
from rich.table import Table

from agent.comparison import TOP_K, Comparison
from contract.benchmark import RunStatus

_ABSENT = "-"


def comparison_table(comparison: Comparison) -> Table:
    """Table of one image: a row a variant, its best classes and its time."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=escape(comparison.image))
    table.title_justify = "left"
    table.add_column("variant", overflow="fold")
    for place in range(1, TOP_K + 1):
        table.add_column(f"top {place}", overflow="fold")
    table.add_column("time ms", justify="right", no_wrap=True)
    table.add_column("vs base", justify="right", no_wrap=True)
    for opinion in comparison.opinions:
        classes = [f"{escape(r.label)} {r.probability:.1%}" for r in opinion.top]
        classes += [_ABSENT] * (TOP_K - len(classes))
        if opinion.status is not RunStatus.OK:
            classes[0] = f"[red]{escape(opinion.status.value)}[/]"
        time_ms = _ABSENT if opinion.inference_ms is None else f"{opinion.inference_ms:.2f}"
        speedup = _ABSENT if opinion.speedup is None else f"{opinion.speedup:.2f}x"
        table.add_row(escape(opinion.variant), *classes, time_ms, speedup)
    return table
