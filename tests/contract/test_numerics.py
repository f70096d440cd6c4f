"""Tolerances tell a different kernel from a wrong one."""

from __future__ import annotations

from contract.manifest import Scheme
from contract.numerics import golden_tolerance


def test_fp32_ignores_the_quantized_engine() -> None:
    same = golden_tolerance(Scheme.FP32, built_for=None, runs_on="x86")
    assert same == golden_tolerance(Scheme.FP32, built_for=None, runs_on="qnnpack")


def test_integers_get_more_room_than_floats_and_most_on_another_engine() -> None:
    fp32 = golden_tolerance(Scheme.FP32, built_for=None, runs_on=None)
    own = golden_tolerance(Scheme.STATIC_INT8, built_for="x86", runs_on="x86")
    other = golden_tolerance(Scheme.STATIC_INT8, built_for="x86", runs_on="qnnpack")
    assert fp32 < own < other < 1.0


def test_bfloat16_gets_more_room_than_fp32_whatever_the_engine() -> None:
    fp32 = golden_tolerance(Scheme.FP32, built_for=None, runs_on=None)
    bf16 = golden_tolerance(Scheme.BF16, built_for=None, runs_on=None)
    assert fp32 < bf16 < 0.1
    assert bf16 == golden_tolerance(Scheme.BF16, built_for=None, runs_on="x86")
