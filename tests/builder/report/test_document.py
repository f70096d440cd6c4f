"""The report as data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from builder.measuring.timing import HostTiming
from builder.report.document import Report, make_report
from builder.report.picks import Wish
from builder.report.verdicts import Cost
from builder.studies.store import Studies
from contract.bundleset import BundleSet, Member
from contract.manifest import Manifest

Make = Callable[..., Report]


def test_picks_are_the_best_for_each_wish_among_those_that_keep_the_accuracy(make: Make) -> None:
    """`resnet18-p30-sq8` is faster and smaller, and loses 2.3 points."""
    picks = {pick.wish: pick.variant for pick in make().picks}

    assert picks == {
        Wish.ACCURATE: "resnet34-base",
        Wish.FAST: "resnet34-p30-sq8",
        Wish.SMALL: "resnet34-p30-sq8",
    }


def test_the_fronts_are_sorted_by_what_they_cost(make: Make) -> None:
    assert make().fronts == {
        Cost.LATENCY: [
            "resnet18-p30-sq8", "resnet18-sq8", "resnet34-p30-sq8", "resnet34-sq8", "resnet34-base",
        ],
        Cost.SIZE: [
            "resnet18-p30-sq8", "resnet18-sq8", "resnet34-p30-sq8", "resnet34-sq8", "resnet34-base",
        ],
        Cost.MACS: [
            "resnet18-p50", "resnet18-p30", "resnet18-p10", "resnet18-base", "resnet34-p30",
            "resnet34-base",
        ],
    }  # fmt: skip


def test_the_host_is_the_one_that_timed(make: Make, timing: Callable[..., HostTiming]) -> None:
    host = make(timings={"resnet18-p10": timing("resnet18-p10", cpu_share=0.99)}).host

    assert host is not None
    assert (host.cpu, host.torch, host.threads, host.cpu_share) == (
        "Some Processor", "2.13.0", 1, 0.99,
    )  # fmt: skip


def test_a_disturbed_timing_is_noted(make: Make, timing: Callable[..., HostTiming]) -> None:
    report = make(timings={"resnet18-p10": timing("resnet18-p10", cpu_share=0.5)})

    assert make().notes == []
    assert report.notes[0].startswith("Other programs ran meanwhile: at worst a variant had its")
    assert "50 %" in report.notes[0]


def test_missing_timings_and_missing_hits_are_noted(make: Make) -> None:
    notes = make(is_timed=False, hits=False).notes

    assert notes[0].startswith("Nothing was timed on this host, so MACs stand in for time.")
    assert notes[1].startswith("The bundles do not say which images they got right")


def test_what_is_damaged_is_noted_and_the_rest_reported(
    manifest: Callable[..., Manifest], member: Callable[[str], Member]
) -> None:
    """Even where it is the baseline that is gone."""
    members = [member("resnet18-base"), member("resnet18-sq8")]

    report = make_report(
        "bundles",
        BundleSet(baseline="resnet18-base", members=members),
        [(members[1], manifest("resnet18-sq8"))],
        timings={},
        studies=Studies(),
        made_at=datetime(2026, 1, 2, tzinfo=UTC),
    )

    assert [entry.variant for entry in report.entries] == ["resnet18-sq8"]
    assert "Left out, because the bundles are damaged: resnet18-base." in report.notes
    assert "The baseline resnet18-base is missing: nothing is held against it." in report.notes
    assert report.entries[0].gap is None
