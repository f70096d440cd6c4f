"""What a search says in the end."""

from __future__ import annotations

import pytest

from builder.outcome import Status
from builder.search.candidate import Candidate, Space
from builder.search.findings import conclude
from builder.search.summary import search_verdict
from builder.search.trial import Measurement, Trial


def _trial(space: Space, measurement: Measurement | None) -> Trial:
    candidate = Candidate(architecture="one", input_size=space.baseline.input_size)
    status = Status.FAILED if measurement is None else Status.BUILT
    return Trial(candidate=candidate, status=status, measurement=measurement)


def test_a_search_without_a_trial_blames_nobody(space: Space) -> None:
    verdict = search_verdict(space, conclude([], space.baseline, 0.01), 0.01)

    assert verdict == "no trial has ended yet"


def test_without_a_measured_baseline_no_loss_is_known(space: Space) -> None:
    findings = conclude([_trial(space, None)], space.baseline, 0.01)

    assert search_verdict(space, findings, 0.01).startswith("the baseline could not be measured")


@pytest.mark.parametrize(
    ("bar", "words"), [(0.01, "1 point of"), (0.0, "0 points of"), (0.005, "0.5 points of")]
)
def test_the_winner_stands_with_the_bar_in_points(space: Space, bar: float, words: str) -> None:
    trial = _trial(space, Measurement(top1=0.9, p50_ms=2.0, bytes=1, macs=1))

    verdict = search_verdict(space, conclude([trial], space.baseline, bar), bar)

    assert verdict.startswith(f"fastest of 1 with at most {words} top-1 lost: one-base: 2 ms")
