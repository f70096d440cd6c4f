"""Table for people: what several variants say of one image."""

from __future__ import annotations

from rich import box

from agent.comparison import TOP_K, Comparison
from contract.benchmark import RunStatus
from edgewright.console import Table, styled
from edgewright.terminal import CELL_CHARACTERS, visible

_ABSENT = "-"


def comparison_table(comparison: Comparison) -> Table:
    """Table of one image: a row a variant, its best classes and its time."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=comparison.image)
    table.title_justify = "left"
    table.add_column("variant", overflow="fold")
    for place in range(1, TOP_K + 1):
        table.add_column(f"top {place}", overflow="fold")
    table.add_column("time ms", justify="right", no_wrap=True)
    table.add_column("vs base", justify="right", no_wrap=True)
    for opinion in comparison.opinions:
        classes = [styled(f"{_label(r.label)} {r.probability:.1%}") for r in opinion.top]
        classes += [styled(_ABSENT)] * (TOP_K - len(classes))
        if opinion.status is not RunStatus.OK:
            classes[0] = styled(opinion.status.value, "red")
        time_ms = _ABSENT if opinion.inference_ms is None else f"{opinion.inference_ms:.2f}"
        speedup = _ABSENT if opinion.speedup is None else f"{opinion.speedup:.2f}x"
        table.add_row(opinion.variant, *classes, time_ms, speedup)
    return table


def _label(text: str) -> str:
    """A label that leaves room in its cell for the figure that follows."""
    return visible(text, CELL_CHARACTERS - len(" 100.0%"))
