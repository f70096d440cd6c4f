from __future__ import annotations

from builder.search.workload import Arithmetic, Effort, LayerKind, LayerShape, Workload
from contract.manifest import Scheme

CONVOLUTION = LayerShape(
    kind=LayerKind.DENSE, macs=1000, weight_elements=90, output_elements=50
)  # fmt: skip
LINEAR = LayerShape(kind=LayerKind.LINEAR, macs=30, weight_elements=33, output_elements=3)


def test_floats_move_four_bytes_for_each_weight_and_output() -> None:
    workload = Workload.of([CONVOLUTION, LINEAR, LINEAR], Scheme.FP32)
    assert workload.efforts == {
        Arithmetic.FP32: Effort(
            dense_macs=1000,
            linear_macs=60,
            weight_bytes=4 * 156,
            activation_bytes=4 * 56,
            launches=3,
        )
    }


def test_dynamic_int8_computes_linears_in_int8_and_the_rest_in_floats() -> None:
    workload = Workload.of([CONVOLUTION, LINEAR], Scheme.DYNAMIC_INT8)
    assert workload.efforts[Arithmetic.INT8] == Effort(
        linear_macs=30, weight_bytes=33, activation_bytes=3, launches=1
    )
    assert workload.efforts[Arithmetic.FP32].dense_macs == 1000


def test_features_of_all_schemes_are_of_one_length_and_apart() -> None:
    features = {scheme: Workload.of([CONVOLUTION], scheme).features() for scheme in Scheme}
    assert len({len(row) for row in features.values()}) == 1
    floats, integers = features[Scheme.FP32], features[Scheme.STATIC_INT8]
    assert not any(one and other for one, other in zip(floats, integers, strict=True))
