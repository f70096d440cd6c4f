"""Searches of small networks on the real builder: trials, resuming, failures, findings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from builder.data.standardization import Standardization
from builder.evalset.archive import architectures_in
from builder.exploration import Exploration, SearchRequest
from builder.outcome import Status
from builder.progress import Silence
from builder.quantization.engine import host_engine
from builder.recipe import load_recipe
from builder.request import BuildRequest, Settings
from builder.search.trial import Trial
from contract.bundleset import read_set, verify_member
from contract.evalset import Evalset
from contract.manifest import Scheme

SIZE = 16
RULES = """
name = "small"
[pruning]
scope = "all"
[tuning]
epochs = 1
distill = true
[[variants]]
"""

Ask = Callable[..., Exploration]


@pytest.fixture(scope="module")
def explore(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Open a search of `tiny_networks`."""
    recipe = tmp_path_factory.mktemp("recipe") / "small.toml"
    recipe.write_text(RULES)

    def ask(
        *names: str,
        out: Path,
        budget: int,
        standardization: Standardization | None = None,
        **changes: object,
    ) -> Exploration:
        specs = tuple(f"tiny_networks:{name}" for name in names)
        request = BuildRequest(
            architectures=specs,
            data=data,
            out=out,
            weights=dict.fromkeys(specs, "none"),
            settings=Settings(
                recipe=load_recipe(str(recipe)),
                input_size=SIZE,
                standardization=standardization,
                finetune_epochs=None,
                seed=0,
                engines=(host_engine(),),
            ),
        )
        return Exploration(
            SearchRequest(
                build=dataclasses.replace(request, **changes), max_top1_drop=0.5, budget=budget
            ),
            search_path=Path(__file__).with_name("own"),
            now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            progress=Silence(),
        )

    return ask


@pytest.fixture(scope="module")
def searched(
    explore: Ask, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Exploration, list[Trial]]:
    """A finished search with a budget of four."""
    out = tmp_path_factory.mktemp("search") / "set"
    exploration = explore("Joined", out=out, budget=4)
    return out, exploration, list(exploration.run())


def test_every_trial_is_a_bundle_in_the_set_and_was_timed_here(
    searched: tuple[Path, Exploration, list[Trial]],
) -> None:
    out, exploration, trials = searched

    assert len(trials) == 4
    assert {member.variant for member in read_set(out).members} == {
        exploration.space.name(trial.candidate) for trial in trials
    }
    assert all(trial.measurement and trial.measurement.p50_ms > 0 for trial in trials)


def test_the_set_of_a_search_has_an_evaluation_set(
    searched: tuple[Path, Exploration, list[Trial]],
) -> None:
    out, _, _ = searched
    evalset = read_set(out).evalset
    assert isinstance(evalset, Evalset)
    assert evalset.images == 12
    assert architectures_in(verify_member(out, evalset)) == {"joined"}


def test_base_and_static_int8_come_first_and_pruning_follows(
    searched: tuple[Path, Exploration, list[Trial]],
) -> None:
    _, exploration, trials = searched

    names = [exploration.space.name(trial.candidate) for trial in trials]
    assert names[:2] == ["joined-base", "joined-sq8"]
    assert any(trial.candidate.prune_ratio for trial in trials)


def test_the_winner_is_the_fastest_within_the_bar_and_stands_on_the_front(
    searched: tuple[Path, Exploration, list[Trial]],
) -> None:
    _, exploration, trials = searched
    findings = exploration.findings()
    measured = {trial.candidate: trial.measurement for trial in trials if trial.measurement}
    base = measured[exploration.space.baseline]

    within = [m.p50_ms for m in measured.values() if base.top1 - m.top1 <= 0.5 + 1e-9]
    assert findings.best is not None
    assert findings.best.measurement is not None
    assert findings.best.measurement.p50_ms == min(within)
    assert findings.best in findings.front


def test_a_search_goes_on_where_it_was_left(
    explore: Ask, searched: tuple[Path, Exploration, list[Trial]]
) -> None:
    out, _, trials = searched

    further = explore("Joined", out=out, budget=5)

    assert list(further.trials) == trials
    (fifth,) = further.run()
    assert fifth.candidate not in {trial.candidate for trial in trials}
    assert len(read_set(out).members) == 5


def test_trials_of_other_rules_are_not_taken_over(
    explore: Ask, searched: tuple[Path, Exploration, list[Trial]]
) -> None:
    out, exploration, _ = searched
    settings = Settings(
        recipe=load_recipe("front"), input_size=SIZE, finetune_epochs=0, seed=1,
        engines=(host_engine(),),
    )  # fmt: skip

    other = explore("Joined", out=out.with_name("other"), budget=4, settings=settings)
    again = explore("Joined", out=out, budget=4, settings=settings)

    assert other.trials == again.trials == ()
    assert exploration.trials != ()


def test_trials_on_other_inputs_are_not_taken_over(explore: Ask, tmp_path: Path) -> None:
    out = tmp_path / "set"
    first = explore("chain", out=out, budget=1)
    assert len(list(first.run())) == 1
    assert len(explore("chain", out=out, budget=1).trials) == 1

    own = Standardization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    other = explore("chain", out=out, budget=1, standardization=own)

    assert other.trials == ()


def test_a_trial_that_the_network_cannot_have_does_not_end_the_search(
    explore: Ask, tmp_path: Path
) -> None:
    exploration = explore("Choosing", out=tmp_path / "set", budget=4)
    with pytest.warns(torch.jit.TracerWarning):
        trials = list(exploration.run())

    statuses = {exploration.space.name(trial.candidate): trial for trial in trials}
    assert len(trials) == 4
    assert statuses["choosing-sq8"].status is Status.UNSUPPORTED
    assert "Chooser" in str(statuses["choosing-sq8"].reason)
    assert exploration.findings().best is not None


def test_bfloat16_is_tried_only_where_the_processor_multiplies_it(
    searched: tuple[Path, Exploration, list[Trial]],
) -> None:
    _, exploration, _ = searched
    has_bf16 = "bf16" in Path("/proc/cpuinfo").read_text(encoding="ascii")

    assert (Scheme.BF16 in exploration.space.schemes) == has_bf16
