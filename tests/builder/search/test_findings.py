from __future__ import annotations

from builder.outcome import Status
from builder.search.candidate import Candidate
from builder.search.findings import conclude
from builder.search.trial import Measurement, Trial

BASE = Candidate(architecture="net", input_size=64)


def built(size: int, top1: float, p50_ms: float) -> Trial:
    return Trial(
        candidate=Candidate(architecture="net", input_size=size),
        status=Status.BUILT,
        measurement=Measurement(top1=top1, p50_ms=p50_ms, bytes=1, macs=1),
    )


FAILED = Trial(
    candidate=Candidate(architecture="net", input_size=8), status=Status.FAILED, reason="no"
)


def test_the_best_is_the_fastest_within_the_bar_and_not_the_first() -> None:
    within, fastest, below = built(56, 0.895, 5.0), built(48, 0.89, 3.0), built(40, 0.88, 1.0)
    findings = conclude([built(64, 0.9, 9.0), within, below, fastest], BASE, 0.01)
    assert findings.best == fastest
    assert findings.nearest is None
    assert [trial.candidate.input_size for trial in findings.front] == [40, 48, 56, 64]


def test_of_equally_fast_ones_the_more_accurate_is_best() -> None:
    findings = conclude([built(64, 0.9, 9.0), built(56, 0.89, 3.0), built(48, 0.9, 3.0)], BASE, 0.1)
    assert findings.best == built(48, 0.9, 3.0)
    assert [trial.candidate.input_size for trial in findings.front] == [48]


def test_failed_trials_are_counted_and_named_and_stand_in_nobodys_way() -> None:
    findings = conclude([built(64, 0.9, 9.0), FAILED], BASE, 0.01)
    assert findings.best == findings.baseline == built(64, 0.9, 9.0)
    assert findings.tried == 2
    assert findings.failed == (FAILED,)


def test_where_none_meets_the_bar_the_most_accurate_is_the_nearest() -> None:
    # A bar that asks for a gain.
    findings = conclude([built(64, 0.9, 9.0), built(56, 0.92, 8.0)], BASE, -0.05)
    assert findings.best is None
    assert findings.nearest == built(56, 0.92, 8.0)


def test_without_a_baseline_no_bar_can_be_met_but_there_is_a_front() -> None:
    findings = conclude([built(56, 0.8, 8.0), FAILED], BASE, 0.01)
    assert findings.baseline is None
    assert findings.best is None
    assert findings.nearest == built(56, 0.8, 8.0)
    assert findings.front == (built(56, 0.8, 8.0),)


def test_before_the_first_trial_nothing_is_found() -> None:
    findings = conclude([], BASE, 0.01)
    assert (findings.front, findings.best, findings.nearest, findings.tried) == ((), None, None, 0)
