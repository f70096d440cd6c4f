"""The table of a sweep, and the sentences below it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from agent.table import bench_table, numerics_remarks
from contract.benchmark import BenchRun
from support.measurements import make_run


def shown(runs: Sequence[BenchRun]) -> str:
    """The table as a pipe gets it."""
    console = Console(width=120)
    with console.capture() as capture:
        console.print(bench_table(runs, []))
    return " ".join(capture.get().split())


def test_accuracy_on_this_device_has_a_column_where_it_was_measured() -> None:
    """And the caption says on how many images; without any there is no column."""
    base = make_run(device_top1=0.975, device_top3=0.99, device_images=200)
    slow = make_run("net-slow", device_top1=0.95, device_top3=0.99, device_images=20)
    text = shown([base, slow, make_run("net-failed")])
    assert "here" in text
    assert "97.5" in text
    assert "95.0" in text
    assert "here: on this device, on 20 to 200 images of the evaluation set" in text
    assert "on 200 images" in shown([base])
    assert "here" not in shown([make_run()])


def test_engines_and_golden_errors_are_told_with_their_tolerances() -> None:
    """One sentence a run that was checked."""
    runs = [make_run(), make_run("net-broken", golden=None, engine=None, threads=2)]
    (sentence,) = numerics_remarks(runs)
    assert sentence == (
        "net-base, 1 thread: fp32 on engine x86: golden logits within 0.0001 of their range, "
        "tolerance 0.001"
    )
