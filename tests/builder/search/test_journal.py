from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.outcome import Status
from builder.search.candidate import Candidate
from builder.search.journal import open_journal
from builder.search.trial import Measurement, Trial


def trial(size: int) -> Trial:
    return Trial(
        candidate=Candidate(architecture="net", prune_ratio=0.3, input_size=size),
        status=Status.BUILT,
        measurement=Measurement(top1=0.5, p50_ms=1.25, bytes=3, macs=4, hits="AA=="),
        seconds=2.0,
    )


def failure(size: int) -> Trial:
    return Trial(
        candidate=Candidate(architecture="net", input_size=size),
        status=Status.FAILED,
        reason='OSError: "no\nspace"',
    )


def test_trials_come_back_as_they_were_when_the_journal_is_opened_again(tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "new" / "search.jsonl", "digest")
    journal.append(trial(8))
    journal.append(failure(16))
    again = open_journal(tmp_path / "new" / "search.jsonl", "digest")
    assert journal.trials == (trial(8), failure(16))
    # A disk that was full may have space now.
    assert again.trials == (trial(8),)
    again.append(trial(16))
    assert open_journal(tmp_path / "new" / "search.jsonl", "digest").trials == (trial(8), trial(16))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(min_value=0))
def test_wherever_a_crash_cuts_the_file_whole_lines_stay_and_the_next_one_fits(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "search.jsonl"
    path.unlink(missing_ok=True)
    journal = open_journal(path, "digest")
    lengths = [path.stat().st_size]
    for size in (8, 16):
        journal.append(trial(size))
        lengths.append(path.stat().st_size)
    cut %= lengths[-1] + 1
    path.write_bytes(path.read_bytes()[:cut])
    whole = [trial(size) for size, length in zip((8, 16), lengths[1:], strict=True)
             if length <= cut]  # fmt: skip
    again = open_journal(path, "digest")
    assert list(again.trials) == whole
    again.append(trial(24))
    assert list(open_journal(path, "digest").trials) == [*whole, trial(24)]


def test_another_search_does_not_resume_and_the_first_one_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "search.jsonl"
    open_journal(path, "first").append(trial(8))
    assert open_journal(path, "second").trials == ()
    assert "search.1.jsonl" in caplog.text
    assert open_journal(path, "third").trials == ()
    assert open_journal(tmp_path / "search.1.jsonl", "first").trials == (trial(8),)
    assert open_journal(tmp_path / "search.2.jsonl", "second").trials == ()


def test_a_damaged_line_in_the_middle_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "search.jsonl"
    journal = open_journal(path, "digest")
    journal.append(trial(8))
    journal.append(trial(16))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"candidate": 7}\n' + lines[2])
    assert open_journal(path, "digest").trials == (trial(16),)
    assert "line 2" in caplog.text


def test_a_trial_that_could_not_be_written_is_not_among_the_trials(tmp_path: Path) -> None:
    path = tmp_path / "search.jsonl"
    journal = open_journal(path, "digest")
    path.unlink()
    with pytest.raises(OSError, match=r"search\.jsonl"):
        journal.append(trial(8))
    assert journal.trials == ()
