from __future__ import annotations

from builder.outcome import Status
from builder.search.candidate import Candidate, Space
from builder.search.reliability import Reliability
from builder.search.trial import Measurement, Trial
from contract.manifest import Scheme

SPACE = Space(input_sizes={"one": (64, 48), "two": (64, 48)})


def candidate(
    ratio: float | None = None,
    scheme: Scheme = Scheme.FP32,
    size: int = 64,
    architecture: str = "one",
) -> Candidate:
    return Candidate(
        architecture=architecture, prune_ratio=ratio, scheme=scheme, input_size=size
    )  # fmt: skip


def ended(which: Candidate, status: Status) -> Trial:
    measurement = Measurement(top1=0.5, p50_ms=1.0, bytes=1, macs=1)
    return Trial(
        candidate=which,
        status=status,
        measurement=measurement if status is Status.BUILT else None,
    )


def judge(*trials: Trial) -> Reliability:
    return Reliability(space=SPACE, trials=trials)


def test_what_contains_an_unsupported_change_is_impossible_and_nothing_else_is() -> None:
    reliability = judge(ended(candidate(scheme=Scheme.STATIC_INT8), Status.UNSUPPORTED))
    assert reliability.is_impossible(candidate(scheme=Scheme.STATIC_INT8))
    assert reliability.is_impossible(candidate(0.3, Scheme.STATIC_INT8, 48))
    assert not reliability.is_impossible(candidate(0.3))
    other = candidate(scheme=Scheme.STATIC_INT8, architecture="two")
    assert not reliability.is_impossible(other)


def test_an_unsupported_combination_says_nothing_of_its_parts() -> None:
    reliability = judge(ended(candidate(0.3, Scheme.STATIC_INT8), Status.UNSUPPORTED))
    assert not reliability.is_impossible(candidate(0.3))
    assert not reliability.is_impossible(candidate(scheme=Scheme.STATIC_INT8))
    assert reliability.is_impossible(candidate(0.3, Scheme.STATIC_INT8, 48))


def test_a_failure_makes_its_like_less_likely_without_ruling_it_out() -> None:
    reliability = judge(
        ended(candidate(), Status.BUILT), ended(candidate(scheme=Scheme.BF16), Status.FAILED)
    )
    assert not reliability.is_impossible(candidate(0.3, Scheme.BF16))
    assert reliability.chance(candidate(0.3, Scheme.BF16)) == 0.5
    assert reliability.chance(candidate(0.3)) > 0.5
    assert reliability.chance(candidate(architecture="two")) == 1.0


def test_three_failures_without_a_success_leave_a_trait_to_the_end() -> None:
    failures = [
        ended(candidate(ratio, Scheme.BF16), Status.FAILED) for ratio in (None, 0.1, 0.2)
    ]  # fmt: skip
    assert judge(*failures).chance(candidate(0.3, Scheme.BF16)) < 0.01
    success = ended(candidate(0.4, Scheme.BF16), Status.BUILT)
    assert judge(*failures, success).chance(candidate(0.3, Scheme.BF16)) == 0.4
