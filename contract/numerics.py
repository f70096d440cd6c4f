"""How far a device's logits may be from the builder's before a bundle is refused."""

from __future__ import annotations

from contract.manifest import Scheme

#: Float kernels differ by summation order only.
_FP32_TOLERANCE = 1e-3
#: 8 bits of mantissa: each step rounds by up to 0.4 %, and where is up to the kernels, which sum
#: in FP32 or not and fuse layers or not. Seen with EfficientNet-Lite0: 0.5 % of the range
#: between two ways to prepare it on one processor, 2.3 % where batch norms were folded late.
_BF16_TOLERANCE = 5e-2
#: The same integers, rescaled by other float instructions: a few steps of 1/256.
_INT8_TOLERANCE = 2e-2
#: Another engine rounds elsewhere. Seen on ARM: x86 bundles differ by up to 1.9 % of the range on
#: qnnpack; broken kernels were off by the range itself.
_INT8_OTHER_ENGINE_TOLERANCE = 5e-2


def golden_tolerance(scheme: Scheme, *, built_for: str | None, runs_on: str | None) -> float:
    """Largest accepted logit error, as a share of the range of the golden logits.

    Logits are compared, not top-1: an untrained or saturated network agrees on top-1 even
    where kernels are wrong.
    """
    if scheme is Scheme.FP32:
        return _FP32_TOLERANCE
    if scheme is Scheme.BF16:
        return _BF16_TOLERANCE
    return _INT8_TOLERANCE if built_for == runs_on else _INT8_OTHER_ENGINE_TOLERANCE
