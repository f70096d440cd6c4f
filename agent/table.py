"""Tables for people: what a sweep measured, and what variants answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.text import Text

from agent.bundles import Unreadable
from contract.benchmark import BenchRun, RunStatus
from contract.manifest import AccuracyKind
from edgewright.console import Table, styled

_MEGABYTE = 1e6
_BEST = "bold green"
_ABSENT = "-"


class _Column:
    """One figure of a run: its heading, its text, and which end of it is good."""

    def __init__(
        self,
        heading: str,
        figure: Callable[[BenchRun], float | None],
        text: str,
        best: Callable[[Sequence[float]], float] | None,
    ) -> None:
        self.heading = heading
        self.figure = figure
        self._text = text
        self._best = best

    def cells(self, runs: Sequence[BenchRun]) -> list[Text]:
        """One cell a run; the best of those that ran well stands out."""
        figures = [self.figure(run) for run in runs]
        contenders = [
            figure
            for run, figure in zip(runs, figures, strict=True)
            if figure is not None and run.status is RunStatus.OK
        ]
        # One run has no rivals, and equal ones no winner.
        best = self._best(contenders) if self._best and len(set(contenders)) > 1 else None
        cells = []
        for run, figure in zip(runs, figures, strict=True):
            text = _ABSENT if figure is None else self._text.format(figure)
            is_best = best is not None and figure == best and run.status is RunStatus.OK
            cells.append(styled(text, _BEST if is_best else ""))
        return cells


def _megabytes(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / _MEGABYTE


def _percent(share: float | None) -> float | None:
    return None if share is None else 100.0 * share


_COLUMNS = (
    _Column("size\nMB", lambda run: run.bytes / _MEGABYTE, "{:.1f}", min),
    _Column("thr", lambda run: run.threads, "{:d}", None),
    _Column("p50\nms", lambda run: run.p50_ms, "{:.2f}", min),
    _Column("p95\nms", lambda run: run.p95_ms, "{:.2f}", min),
    _Column("vs\nbase", lambda run: run.speedup, "{:.2f}x", max),
    _Column("active\nparameters", lambda run: run.active_parameters, "{:,d}", min),
    _Column("peak\nMB", lambda run: _megabytes(run.peak_rss_bytes), "{:.0f}", min),
    _Column("top-1\n%", lambda run: 100.0 * run.top1, "{:.1f}", max),
)
#: Only where a run has it.
_HERE = _Column("here\n%", lambda run: _percent(run.device_top1), "{:.1f}", max)


def bench_table(runs: Sequence[BenchRun], unreadable: Sequence[Unreadable]) -> Table:
    """Table of a sweep, a row a run; what failed keeps its row."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=_caption(runs))
    table.caption_justify = "left"
    table.add_column("variant", vertical="bottom", overflow="fold")
    has_accuracy = any(run.device_top1 is not None for run in runs)
    shown = [*_COLUMNS, *([_HERE] if has_accuracy else [])]
    for column in shown:
        table.add_column(column.heading, justify="right", no_wrap=True, vertical="bottom")
    table.add_column("status", no_wrap=True, vertical="bottom")
    columns = [column.cells(runs) for column in shown]
    for i, run in enumerate(runs):
        cells = [cells[i] for cells in columns]
        table.add_row(run.variant, *cells, _status(run.status.value))
    for one in unreadable:
        blanks = [_ABSENT] * len(shown)
        table.add_row(one.member.variant, *blanks, _status("unreadable"))
    return table


def bench_remarks(runs: Sequence[BenchRun], unreadable: Sequence[Unreadable]) -> list[str]:
    """Sentences that belong to a table: why runs failed, and what was odd about others."""
    remarks = []
    for run in runs:
        name = f"{run.variant}, {_threads(run)}"
        if run.reason is not None:
            remarks.append(f"{name}: {run.status.value}: {run.reason}")
        remarks += [f"{name}: {note}" for note in run.notes]
    return remarks + [f"{one.member.variant}: unreadable: {one.reason}" for one in unreadable]


def numerics_remarks(runs: Sequence[BenchRun]) -> list[str]:
    """Sentences on engines and on how near each run's logits came to its builder's."""
    remarks = []
    for run in runs:
        if run.golden is None:
            continue
        engine = "floats" if run.engine is None else f"engine {run.engine}"
        remarks.append(
            f"{run.variant}, {_threads(run)}: {run.scheme} on {engine}: golden logits within "
            f"{run.golden.max_error:.2g} of their range, tolerance {run.golden.tolerance:g}"
        )
    return remarks


def _threads(run: BenchRun) -> str:
    return f"{run.threads} thread{'s' if run.threads > 1 else ''}"


def _status(status: str) -> Text:
    return styled(status, "" if status == RunStatus.OK.value else "red")


def _caption(runs: Sequence[BenchRun]) -> str:
    """What the figures refer to."""
    if not runs:
        return "nothing was measured"
    run = runs[0]
    kind = "labels" if run.accuracy_kind is AccuracyKind.LABELS else "agreement with the baseline"
    text = (
        f"base is {run.baseline}; top-1 by {kind} on {run.accuracy_images:,} images of "
        f"{run.dataset}, as its builder measured it; peak memory is of the whole worker process"
    )
    counts = [run.device_images for run in runs if run.device_images is not None]
    if counts:
        told = " to ".join(f"{count:,}" for count in sorted({min(counts), max(counts)}))
        text += f"; here: on this device, on {told} images of the evaluation set"
    if run.memory_limit_bytes is not None:
        limit = f"{run.memory_limit_bytes / _MEGABYTE:.0f} MB"
        enforced = run.memory_limit_kind.value if run.memory_limit_kind else "nobody"
        text += f"; memory limit {limit}, enforced by {enforced}"
    return text
