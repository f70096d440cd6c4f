"""The law of simulated boxes: what physics says must come out of it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.manifest import Scheme
from fleet.simulating.classes import DeviceClass, device_classes
from fleet.simulating.devices import DeviceLaw, Oddity, draw_device
from fleet.simulating.laws import true_figures
from fleet.simulating.variants import VariantLaw, catalogue, make_variant

VARIANTS = {one.name: one for one in catalogue()}
BASE = VARIANTS["resnet50-base"]


def kind(name: str) -> DeviceClass:
    return next(one for one in device_classes() if one.name == name)


def typical(name: str) -> DeviceLaw:
    return DeviceLaw(device="box", kind=kind(name), ram_bytes=kind(name).ram_bytes[-1])


def gain(device: DeviceLaw, slow: VariantLaw, fast: VariantLaw) -> float:
    return true_figures(device, slow, 1).p50_ms / true_figures(device, fast, 1).p50_ms


@given(st.integers(0, 10_000), st.sampled_from(catalogue()))
def test_every_figure_is_positive_and_a_percentile_is_above_the_median(
    index: int, variant: VariantLaw
) -> None:
    device = draw_device(7, index)
    for threads in {1, device.kind.cores}:
        figures = true_figures(device, variant, threads)
        assert 0.0 < figures.p50_ms < figures.p95_ms
        assert figures.energy_mj > 0.0
        assert 0.0 < figures.clock_share <= 1.0
        assert figures.peak_rss_bytes > device.kind.runtime_bytes


def test_int8_pays_where_the_processor_has_dot_products_and_hardly_elsewhere() -> None:
    sq8 = VARIANTS["resnet50-sq8"]
    assert gain(typical("rpi5"), BASE, sq8) > 2.0
    assert gain(typical("xeon-4310"), BASE, sq8) > 2.0
    assert gain(typical("j4125"), BASE, sq8) < 1.1


def test_more_threads_are_faster_but_not_as_many_times() -> None:
    device = typical("jetson-a57")
    one, all_four = (true_figures(device, BASE, threads).p50_ms for threads in (1, 4))
    assert 2.5 < one / all_four < 4.0


def test_dynamic_quantization_pays_where_memory_is_slow() -> None:
    """Its linear layers have few operations for each of their bytes."""
    base, dq8 = VARIANTS["vgg19-r160"], VARIANTS["vgg19-dq8-r160"]
    fast = typical("rpi4")
    slow = msgspec.structs.replace(fast, oddity=Oddity.SLOW_MEMORY)
    assert gain(slow, base, dq8) > gain(fast, base, dq8) > 1.0


def test_weights_that_fit_the_cache_do_not_wait_for_memory() -> None:
    small, large = VARIANTS["resnet18-p50-sq8"], VARIANTS["vgg19-base"]
    device = typical("xeon-4310")
    slow = msgspec.structs.replace(device, bandwidth_factor=0.02)
    assert true_figures(slow, small, 1).p50_ms == true_figures(device, small, 1).p50_ms
    assert true_figures(slow, large, 1).p50_ms > 1.5 * true_figures(device, large, 1).p50_ms


def test_a_bare_chip_throttles_and_takes_longer() -> None:
    device = typical("rpi4")
    bare = msgspec.structs.replace(device, oddity=Oddity.NO_HEAT_SINK)
    cool, warm = (true_figures(one, BASE, 4) for one in (device, bare))
    assert not cool.is_throttled
    assert warm.is_throttled
    assert warm.p50_ms > 1.1 * cool.p50_ms
    assert warm.power_w == pytest.approx(bare.sustained_w, rel=0.02)


def test_a_busy_box_has_a_longer_tail() -> None:
    device = typical("n100")
    busy = msgspec.structs.replace(device, load_cores=1.5)
    quiet, crowded = (true_figures(one, BASE, 4) for one in (device, busy))
    assert crowded.p95_ms / crowded.p50_ms > quiet.p95_ms / quiet.p50_ms
    assert crowded.p50_ms > quiet.p50_ms


def test_a_large_network_does_not_fit_a_small_box() -> None:
    small = typical("rpi3b")
    assert not true_figures(small, VARIANTS["vgg19-base"], 1).fits
    assert true_figures(small, VARIANTS["vgg19-p50-sq8"], 1).fits


def test_channels_between_two_vector_widths_cost_as_much_as_the_wider() -> None:
    """A tenth fewer channels than 64 are 58: they take the eighth vector as 64 do."""
    device = typical("i5-6500t")
    pruned = make_variant("resnet18", 10, Scheme.FP32, 224)
    saved_macs = 1.0 - pruned.macs / VARIANTS["resnet18-base"].macs
    saved_time = 1.0 - 1.0 / gain(device, VARIANTS["resnet18-base"], pruned)
    assert 0.0 < saved_time < saved_macs


@pytest.mark.parametrize("threads", [0, 5])
def test_threads_that_the_box_has_no_cores_for_are_refused(threads: int) -> None:
    with pytest.raises(ValueError, match=f"threads {threads}: expected 1 to 4"):
        true_figures(typical("rpi4"), BASE, threads)
