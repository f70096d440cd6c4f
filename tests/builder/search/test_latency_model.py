from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.search.candidate import Space
from builder.search.latency_model import LatencyModel, Timing
from builder.search.workload import LayerKind, LayerShape, Workload
from contract.manifest import Scheme
from support.simulated_host import SimulatedHost

LAYERS = st.builds(
    LayerShape,
    kind=st.sampled_from(LayerKind),
    macs=st.integers(0, 10**9),
    weight_elements=st.integers(0, 10**7),
    output_elements=st.integers(1, 10**7),
)
TIMINGS = st.lists(
    st.builds(
        Timing,
        architecture=st.sampled_from(["one", "two"]),
        scheme=st.sampled_from(Scheme),
        workload=st.builds(
            Workload.of, st.lists(LAYERS, min_size=1, max_size=4), st.sampled_from(Scheme)
        ),
        p50_ms=st.floats(1e-3, 1e4),
    ),
    max_size=8,
)


def timings(host: SimulatedHost, space: Space, schemes: set[Scheme], every: int) -> list[Timing]:
    chosen = [c for c in space.candidates() if c.scheme in schemes][::every]
    return [
        Timing(
            architecture=c.architecture,
            scheme=c.scheme,
            workload=host.workload(c),
            p50_ms=host.p50_ms(c),
        )
        for c in chosen
    ]


@given(
    known=TIMINGS,
    layers=st.lists(LAYERS, min_size=1, max_size=4),
    more=LAYERS,
    scheme=st.sampled_from(Scheme),
)
def test_whatever_was_timed_more_work_never_takes_less_time(
    known: list[Timing], layers: list[LayerShape], more: LayerShape, scheme: Scheme
) -> None:
    model = LatencyModel.fit(known)
    less = model.predict("one", scheme, Workload.of(layers, scheme))
    longer = model.predict("one", scheme, Workload.of([*layers, more], scheme))
    assert longer.mean >= less.mean - 1e-9
    assert math.isfinite(less.mean)
    assert math.isfinite(less.sd)
    assert less.sd > 0


@pytest.mark.parametrize("scheme", [Scheme.FP32, Scheme.STATIC_INT8])
def test_a_dozen_timings_foretell_the_others_within_a_tenth(space: Space, scheme: Scheme) -> None:
    host = SimulatedHost(top1={"one": 0.9}, time_noise=0.02)
    model = LatencyModel.fit(timings(host, space, {scheme}, 3))
    for timing in timings(host, space, {scheme}, 1):
        predicted = model.predict("one", scheme, timing.workload)
        assert math.exp(predicted.mean) == pytest.approx(timing.p50_ms, rel=0.1)


def test_nine_of_ten_times_lie_within_the_interval(space: Space) -> None:
    host = SimulatedHost(top1={"one": 0.9}, time_noise=0.03)
    both = {Scheme.FP32, Scheme.STATIC_INT8}
    model = LatencyModel.fit(timings(host, space, both, 5))
    inside = []
    for timing in timings(host, space, both, 1):
        low, high = model.predict("one", timing.scheme, timing.workload).interval
        inside.append(low <= math.log(timing.p50_ms) <= high)
    assert sum(inside) >= 0.9 * len(inside)


def test_one_timing_gives_times_in_proportion(space: Space) -> None:
    host = SimulatedHost(top1={"one": 0.9})
    base = space.baseline
    [timing] = timings(host, Space(input_sizes={"one": (64,)}, ratios=()), {Scheme.FP32}, 1)
    model = LatencyModel.fit([timing])
    again = model.predict("one", base.scheme, timing.workload)
    assert math.exp(again.mean) == pytest.approx(host.p50_ms(base), rel=0.01)
    layers = host.layers(base)
    doubled = model.predict("one", base.scheme, Workload.of([*layers, *layers], base.scheme))
    assert doubled.mean - again.mean == pytest.approx(math.log(2))
    assert doubled.sd < 0.2


def test_an_arithmetic_that_was_never_timed_is_far_less_certain(space: Space) -> None:
    host = SimulatedHost(top1={"one": 0.9})
    model = LatencyModel.fit(timings(host, space, {Scheme.FP32}, 4))
    layers = host.layers(space.baseline)
    known = model.predict("one", Scheme.FP32, Workload.of(layers, Scheme.FP32))
    unknown = model.predict("one", Scheme.BF16, Workload.of(layers, Scheme.BF16))
    assert unknown.sd > 0.5 > 5 * known.sd


def test_a_network_that_is_slower_than_its_work_is_known_by_its_own_timings() -> None:
    both = Space(input_sizes={"one": (64, 56, 48, 40), "two": (64, 56, 48, 40)})
    host = SimulatedHost(top1={"one": 0.9, "two": 0.9}, slowness={"two": 1.5})
    model = LatencyModel.fit(timings(host, both, {Scheme.FP32}, 4))
    for timing in timings(host, both, {Scheme.FP32}, 1):
        predicted = model.predict(timing.architecture, timing.scheme, timing.workload)
        assert math.exp(predicted.mean) == pytest.approx(timing.p50_ms, rel=0.12)
