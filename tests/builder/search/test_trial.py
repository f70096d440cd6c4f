from __future__ import annotations

import pytest

from builder.outcome import Status
from builder.search.candidate import Candidate
from builder.search.trial import Measurement, Trial

BASE = Candidate(architecture="net", input_size=64)


@pytest.mark.parametrize(
    ("top1", "p50_ms", "field"),
    [(1.1, 1.0, "top1"), (float("nan"), 1.0, "top1"), (0.5, 0.0, "p50_ms"),
     (0.5, float("inf"), "p50_ms")],
)  # fmt: skip
def test_measurements_that_cannot_be_are_named_by_field(
    top1: float, p50_ms: float, field: str
) -> None:
    measurement = Measurement(top1=top1, p50_ms=p50_ms, bytes=1, macs=1)
    fault = Trial(candidate=BASE, status=Status.BUILT, measurement=measurement).fault()
    assert str(fault).startswith(field)


def test_what_was_built_must_have_been_measured() -> None:
    assert "measurement" in str(Trial(candidate=BASE, status=Status.BUILT).fault())


def test_a_failed_trial_and_a_measured_one_are_sound() -> None:
    measurement = Measurement(top1=1.0, p50_ms=0.1, bytes=1, macs=1)
    assert Trial(candidate=BASE, status=Status.FAILED, reason="no").fault() is None
    assert Trial(candidate=BASE, status=Status.UNCHANGED, measurement=measurement).fault() is None
