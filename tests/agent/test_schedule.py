"""The order of a sweep."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent.bundles import open_shelf
from agent.schedule import Job, plan, schedule


@pytest.fixture
def jobs(good_set: Path) -> list[Job]:
    """The baseline and two others, at one and two threads."""
    return plan(open_shelf(good_set), [1, 2])


def names(jobs: list[Job], *, rounds: int, seed: str = "a") -> list[tuple[str, int]]:
    """Keys in the order of their turns."""
    turns = schedule(jobs, rounds=rounds, baseline="tiny-base", seed=seed)
    return [turn.job.key for turn in turns]


def test_every_round_has_every_job_once(jobs: list[Job]) -> None:
    """Numbers count the turns of a job."""
    turns = schedule(jobs, rounds=3, baseline="tiny-base", seed="a")
    assert Counter(turn.job.key for turn in turns) == {job.key: 3 for job in jobs}
    for start in (0, 6, 12):
        assert len({turn.job.key for turn in turns[start : start + 6]}) == 6
        assert {turn.number for turn in turns[start : start + 6]} == {start // 6 + 1}


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_the_baseline_is_measured_at_both_ends(jobs: list[Job], rounds: int) -> None:
    """What drifted between them is seen."""
    bases = {("tiny-base", 1), ("tiny-base", 2)}
    order = names(jobs, rounds=rounds)
    assert set(order[:2]) == set(order[-2:]) == bases


def test_chance_settles_the_order_and_the_seed_settles_chance(jobs: list[Job]) -> None:
    """No variant is always behind the same one; an interrupted sweep goes on in its order."""
    orders = {tuple(names(jobs, rounds=2, seed=str(seed))) for seed in range(40)}
    assert len(orders) > 20
    assert names(jobs, rounds=2, seed="7") == names(jobs, rounds=2, seed="7")
    first = Counter(order[2] for order in orders)
    assert len(first) == 4, "some variant never came first after the baseline"
