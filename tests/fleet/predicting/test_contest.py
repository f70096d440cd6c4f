"""Possible worlds are decided as choosing would decide them."""

from __future__ import annotations

import random

import msgspec
import numpy as np
import pytest

from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Ref, Status
from fleet.choosing.metric import Metric
from fleet.choosing.policy import parse_policy
from fleet.choosing.selection import decide
from fleet.choosing.terms import Terms
from fleet.predicting.contest import Worlds
from support.measurements import make_candidate

POLICIES = {
    "accurate": ('["p95_ms <= 60"]', '["max top1", "min p95_ms"]'),
    "fast": ('["top1_drop <= 0.05", "peak_rss_mb <= 400"]', '["min p95_ms", "max top1"]'),
    "small": ("[]", '["min size_mb", "min p95_ms"]'),
    "impossible": ('["p95_ms <= 1", "top1 >= 0.9"]', '["max top1"]'),
}


def terms_of(name: str) -> Terms:
    constraints, objectives = POLICIES[name]
    text = f'name = "{name}"\nconstraints = {constraints}\nobjectives = {objectives}\n'
    return parse_policy(text, source=name).terms_for("lab", "box", [])


def candidates(seed: int) -> list[Candidate]:
    draw = random.Random(seed)  # noqa: S311 - figures, no secret
    found = []
    for number in range(10):
        top1 = draw.uniform(0.7, 0.8)
        made = make_candidate(
            f"v{number}",
            p50_ms=draw.uniform(20, 100),
            peak_rss_bytes=draw.randint(2, 6) * 100_000_000 + number,
            bytes=draw.randint(10, 12) * 1_000_000,
            top1=top1,
            top1_drop=0.8 - top1,
            # Worlds know no intervals but the tie band.
            ci_low_ms=None,
            ci_high_ms=None,
        )
        found.append(made)
    return found


def worlds_of(runs: list[Candidate]) -> Worlds:
    metrics = (Metric.P95_MS, Metric.PEAK_RSS_MB)
    return Worlds(
        candidates=runs,
        drawn={metric: np.array([[metric.cost(one) for one in runs]]) for metric in metrics},
        runs=np.ones((1, len(runs)), dtype=bool),
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_a_world_of_measured_figures_is_decided_as_choosing_decides(policy: str) -> None:
    terms = terms_of(policy)
    misses = 0
    for seed in range(60):
        runs = candidates(seed)
        evidence = Evidence(
            site="lab", device="box", terms=terms, candidates=tuple(runs), stale_runs=0
        )
        expected = decide(evidence)
        number = worlds_of(runs).pick(terms, np.ones(len(runs), dtype=bool))
        assert number is not None
        assert Ref(runs[number].variant, 1) == expected.pick
        misses += expected.status is Status.NEAREST_MISS
    assert (misses == 60) == (policy == "impossible")


def test_what_does_not_run_cannot_win_and_where_nothing_runs_nothing_does() -> None:
    runs = candidates(0)
    worlds = worlds_of(runs)
    terms = terms_of("fast")
    winner = worlds.pick(terms, np.ones(10, dtype=bool))
    dead = worlds.runs.copy()
    dead[0, winner] = False
    other = Worlds(candidates=runs, drawn=worlds.drawn, runs=dead)
    assert other.pick(terms, np.ones(10, dtype=bool)) not in {winner, None}
    none = Worlds(candidates=runs, drawn=worlds.drawn, runs=np.zeros((1, 10), dtype=bool))
    assert none.pick(terms, np.ones(10, dtype=bool)) is None
    assert not none.best(terms).any()


def test_a_limit_on_what_nobody_measures_is_met_by_nothing() -> None:
    text = 'name = "e"\nconstraints = ["energy_mj <= 5"]\nobjectives = ["min p95_ms"]\n'
    terms = parse_policy(text, source="e").terms_for("lab", "box", [])
    runs = [msgspec.structs.replace(one, energy_mj=1.0) for one in candidates(0)]
    worlds = worlds_of(runs)
    assert worlds.best(terms).sum() == 1, "a nearest miss alone"
