"""A variant's figures beside those of what it was made from."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from builder.measuring.timing import HostTiming
from builder.report.document import Report
from builder.report.entry import Entry, own_bases
from contract.manifest import Manifest, Preprocessing

Make = Callable[..., Report]


def _entry(report: Report, variant: str) -> Entry:
    return next(entry for entry in report.entries if entry.variant == variant)


def test_work_and_time_are_held_against_the_own_base_and_accuracy_against_the_sets(
    make: Make,
) -> None:
    entry = _entry(make(), "resnet34-p30")

    assert entry.own_base == "resnet34-base"
    assert entry.macs_saved == 1_364_000_000
    assert entry.macs_saved_share == pytest.approx(1364 / 3664)
    assert entry.own_speedup == pytest.approx(41.0 / 28.6)
    assert entry.ms_saved == pytest.approx(41.0 - 28.6)
    assert entry.time_saved_share == pytest.approx(1 - 28.6 / 41.0)
    assert entry.speedup == pytest.approx(20.0 / 28.6)
    assert entry.gap is not None
    assert entry.gap.difference == pytest.approx(0.906 - 0.904)


def test_time_saved_holds_where_the_host_was_slower_meanwhile(
    make: Make, timing: Callable[..., HostTiming]
) -> None:
    """Twice as slow a minute, for the variant and for the baseline beside it alike."""
    whole = timing("resnet18-sq8")
    slow = msgspec.structs.replace(whole, p50_ms=16.2, base_p50_ms=40.0)

    entry = _entry(make(timings={"resnet18-sq8": slow}), "resnet18-sq8")

    assert entry.time_saved_share == pytest.approx(1 - 8.1 / 20.0)
    assert entry.p50_ms == pytest.approx(8.1)
    assert entry.ms_saved == pytest.approx(20.0 - 8.1)


def test_the_interval_of_the_own_speedup_holds_both_doubts(make: Make) -> None:
    entry = _entry(make(), "resnet34-sq8")

    ratio = 41.0 / 15.2
    assert entry.own_speedup_low == pytest.approx(ratio * 0.99 / 1.01)
    assert entry.own_speedup_high == pytest.approx(ratio * 1.01 / 0.99)


def test_an_untimed_variant_has_work_and_no_time(make: Make) -> None:
    entry = _entry(make(is_timed=False), "resnet18-p10")

    assert entry.macs_saved == 164_000_000
    assert entry.p50_ms is None
    assert entry.time_saved_share is None


def test_a_smaller_input_is_no_base(manifest: Callable[..., Manifest]) -> None:
    whole = manifest("resnet18-base")
    small = msgspec.structs.replace(
        whole,
        variant="resnet18-r160",
        macs=whole.macs // 2,
        preprocessing=Preprocessing(
            input_size=160, resize_size=182, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)
        ),
    )

    for order in ([small, whole], [whole, small]):
        assert own_bases({m.variant: m for m in order}) == {"resnet18": "resnet18-base"}


def test_a_larger_input_is_no_base_and_no_input_stands_in_for_a_lost_one(
    manifest: Callable[..., Manifest],
) -> None:
    base = manifest("resnet18-base")
    rule = msgspec.structs.replace(base.preprocessing, input_size=288, resize_size=328)
    larger = msgspec.structs.replace(
        base, variant="resnet18-r288", preprocessing=rule, macs=2 * base.macs
    )

    assert own_bases({m.variant: m for m in (base, larger)}) == {"resnet18": "resnet18-base"}
    assert own_bases({"resnet18-r288": larger}) == {}


def test_without_its_architectures_base_nothing_is_said_to_be_saved(make: Make) -> None:
    entry = _entry(make("resnet18-base", "resnet34-sq8"), "resnet34-sq8")

    assert entry.own_base is None
    assert entry.macs_saved is None
    assert entry.ms_saved is None
    assert entry.speedup == pytest.approx(20.0 / 15.2)
