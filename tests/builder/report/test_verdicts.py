"""What each variant is worth, in a word and in a sentence."""

# ruff: noqa: RUF001 - the multiplication sign is meant
from __future__ import annotations

from collections.abc import Callable

import pytest

from builder.measuring.timing import HostTiming
from builder.report.document import Report
from builder.report.verdicts import Cost, Judgement, Verdict

Make = Callable[..., Report]


def _judgement(report: Report, variant: str) -> Judgement:
    return next(judgement for judgement in report.judgements if judgement.variant == variant)


@pytest.mark.parametrize(
    ("variant", "verdict", "words"),
    [
        ("resnet18-p30-sq8", Verdict.FRONT, "on the front: the fastest"),
        (
            "resnet34-sq8",
            Verdict.FRONT,
            "on the front: nothing else is as fast and as accurate",
        ),
        (
            "resnet34-p30-sq8",
            Verdict.FRONT_BY_CHANCE,
            "on the front, but its lead of 0.3 points may be chance; resnet18-sq8 is 1.27× as fast",
        ),
        (
            "resnet18-dq8",
            Verdict.SLOWER,
            (
                "takes 1.03× as long as resnet18-base: dynamic INT8 does not pay here; "
                "resnet34-sq8 is 1.36× as fast and 0.4 points more accurate"
            ),
        ),
        (
            "resnet18-p10",
            Verdict.NO_GAIN,
            (
                "saves 9 % of the MACs of resnet18-base and no measurable time; "
                "resnet34-sq8 is 1.31× as fast and 0.7 points more accurate"
            ),
        ),
        (
            "resnet18-p50",
            Verdict.LOST,
            (
                "loses 6.2 points against resnet18-base; "
                "resnet18-sq8 is 1.26× as fast and 5.7 points more accurate"
            ),
        ),
        (
            "resnet34-p30",
            Verdict.DOMINATED,
            "dominated: resnet34-sq8 is 1.88× as fast and 0.2 points more accurate",
        ),
    ],
)
def test_a_verdict_says_what_matters_most_and_what_to_take_instead(
    make: Make, variant: str, verdict: Verdict, words: str
) -> None:
    judgement = _judgement(make(), variant)

    assert (judgement.verdict, judgement.words) == (verdict, words)


def test_who_is_on_the_front_is_beaten_by_nobody_and_all_others_by_somebody_on_it(
    make: Make,
) -> None:
    report = make()

    for judgement in report.judgements:
        if judgement.variant in report.fronts[Cost.LATENCY]:
            assert judgement.beaten_by is None
        else:
            assert judgement.beaten_by in report.fronts[Cost.LATENCY]


def test_quantization_that_gains_nothing_within_the_interval_does_not_pay(
    make: Make, timing: Callable[..., HostTiming]
) -> None:
    level = timing("resnet18-dq8", p50_ms=20.1)

    judgement = _judgement(
        make("resnet18-base", "resnet18-dq8", timings={"resnet18-dq8": level}), "resnet18-dq8"
    )

    assert judgement.verdict is Verdict.NO_GAIN
    assert judgement.words.startswith("no faster than resnet18-base: dynamic INT8 does not pay")


def test_two_that_are_alike_are_level(make: Make, timing: Callable[..., HostTiming]) -> None:
    """The base is a hundredth slower than dynamic INT8, which nobody notices."""
    faster = timing("resnet18-dq8", p50_ms=19.8)

    judgement = _judgement(
        make("resnet18-base", "resnet18-dq8", timings={"resnet18-dq8": faster}), "resnet18-base"
    )

    assert judgement.verdict is Verdict.LEVEL
    assert judgement.words == "as accurate and as fast as resnet18-dq8"


def test_what_could_not_be_timed_says_why_and_is_on_no_front(
    make: Make, failed_timing: Callable[[str, str], HostTiming]
) -> None:
    failed = failed_timing("resnet18-sq8", "no x86 engine")

    report = make(timings={"resnet18-sq8": failed})

    judgement = _judgement(report, "resnet18-sq8")
    assert judgement.verdict is Verdict.UNTIMED
    assert judgement.words == "could not be timed: no x86 engine"
    assert "resnet18-sq8" not in report.fronts[Cost.LATENCY]
    assert "resnet18-sq8" in report.fronts[Cost.SIZE]


def test_without_timings_work_decides_and_the_words_say_so(make: Make) -> None:
    report = make(is_timed=False)

    assert report.cost is Cost.MACS
    assert Cost.LATENCY not in report.fronts
    assert _judgement(report, "resnet18-p50").words == "on the front: the least work"
    assert _judgement(report, "resnet34-sq8").words == (
        "dominated: resnet34-base is as light and 0.3 points more accurate"
    )


def test_a_single_variant_is_the_whole_front(make: Make) -> None:
    report = make("resnet18-base")

    assert report.judgements[0].words == "on the front: the most accurate, and the fastest"
