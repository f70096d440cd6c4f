"""Searches on a host that exists in figures only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.progress import Silence
from builder.search.candidate import Space
from builder.search.journal import open_journal
from builder.search.searcher import search
from builder.search.trial import Trial
from support.simulated_host import SimulatedHost


@pytest.fixture(scope="session")
def space() -> Space:
    """One network: 64 combinations."""
    return Space(input_sizes={"one": (64, 56, 48, 40)})


@pytest.fixture
def run_search(tmp_path: Path) -> Callable[..., list[Trial]]:
    """All trials of a search, those of earlier runs with the same file included."""

    def run(
        host: SimulatedHost,
        space: Space,
        *,
        budget: int = 20,
        max_top1_drop: float = 0.01,
        file: str = "search.jsonl",
    ) -> list[Trial]:
        journal = open_journal(tmp_path / file, "digest")
        steps = search(
            space,
            host,
            journal,
            max_top1_drop=max_top1_drop,
            budget=budget,
            now_s=lambda: 0.0,
            progress=Silence(),
        )
        for _ in steps:
            pass
        return list(journal.trials)

    return run
