"""Stems: made in rounds, kept beside the set, and taken up again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import torch

from builder.outcome import Outcome, Status
from builder.pipeline import build_set
from builder.quantization.engine import host_engine
from builder.recipe import load_recipe
from builder.request import BuildRequest, Settings
from contract.manifest import Manifest

NETWORKS = Path(__file__).parents[1] / "own"
HEAD = 'name = "mine"\n[[variants]]\n[[variants]]\nprune_ratio = 0.5\n'


class Recorder:
    """Progress that remembers the activities."""

    def __init__(self) -> None:
        self.activities: list[str] = []

    def update(self, activity: str, done: int, total: int) -> None:
        del done, total
        if activity not in self.activities:
            self.activities.append(activity)

    def has(self, words: str) -> bool:
        return any(words in activity for activity in self.activities)


Run = Callable[..., tuple[dict[str, Outcome], Recorder]]


@pytest.fixture
def run(data: Path, tmp_path: Path) -> Run:
    """Build `chain` with a recipe's text; outcomes by variant, and what progress told."""

    def build(
        text: str = HEAD, *, root: Path = data, seed: int = 0
    ) -> tuple[dict[str, Outcome], Recorder]:
        path, recorder = tmp_path / "mine.toml", Recorder()
        path.write_text(text)
        settings = Settings(
            recipe=load_recipe(str(path)), input_size=16, finetune_epochs=None, seed=seed,
            engines=(host_engine(),),
        )  # fmt: skip
        spec = "tiny_networks:chain"
        request = BuildRequest(
            architectures=(spec,), data=root, out=tmp_path / "set", weights={spec: "none"},
            settings=settings,
        )  # fmt: skip
        outcomes = build_set(
            request,
            search_path=NETWORKS,
            now=lambda: datetime(2026, 1, 2, tzinfo=UTC),
            progress=recorder,
        )
        return {outcome.variant: outcome for outcome in outcomes}, recorder

    return build


def _manifest(outcome: Outcome) -> Manifest:
    assert outcome.manifest is not None, outcome.reason
    return outcome.manifest


def _stems(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "set.work" / "stems").iterdir())


def test_a_kept_stem_is_not_tuned_again_and_answers_alike(run: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "set" / "chain-p50.pt"
    _, first = run()
    before = torch.jit.load(bundle).state_dict()
    bundle.unlink()

    outcomes, second = run()

    assert outcomes["chain-p50"].status is Status.BUILT
    assert first.has("tuning after pruning 50%")
    assert not second.has("tuning after")
    after = torch.jit.load(bundle).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.parametrize("content", [b"", b"no stem", None])
def test_a_damaged_stem_is_made_anew_with_a_warning(
    run: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    run()
    (stem,) = _stems(tmp_path)
    whole = stem.read_bytes()
    stem.write_bytes(whole[: len(whole) // 2] if content is None else content)
    (tmp_path / "set" / "chain-p50.pt").unlink()

    outcomes, recorder = run()

    assert outcomes["chain-p50"].status is Status.BUILT
    assert recorder.has("tuning after pruning")
    assert "cannot be used and is made anew" in caplog.text
    assert len(stem.read_bytes()) > len(whole) // 2


def test_another_seed_has_a_stem_of_its_own(run: Run, tmp_path: Path) -> None:
    run()
    _, recorder = run(seed=1)

    assert recorder.has("tuning after pruning")
    assert len(_stems(tmp_path)) == 2


def test_large_ratios_are_pruned_in_rounds_with_tuning_between(run: Run) -> None:
    rules = "[pruning]\nlargest_step = 0.3\n[tuning]\nround_epochs = 1\n"
    outcomes, recorder = run(HEAD + rules)

    manifest = _manifest(outcomes["chain-p50"])
    assert manifest.tuning is not None
    assert manifest.tuning.rounds == 2
    assert recorder.has("tuning after round 1 of pruning 50%")
    assert manifest.pruning is not None
    for layer in manifest.pruning.layers:
        assert layer.channels_before in {20, 30}
        assert abs(layer.channels_after - layer.channels_before / 2) <= 2


def test_without_labels_pruned_networks_learn_from_the_base(run: Run, flat_data: Path) -> None:
    outcomes, _ = run(root=flat_data)

    tuning = _manifest(outcomes["chain-p50"]).tuning
    assert tuning is not None
    assert tuning.distilled


def test_a_smaller_input_is_tuned_for_where_the_recipe_says_so(run: Run) -> None:
    outcomes, recorder = run(
        HEAD + "input_px = 8\n[[variants]]\ninput_px = 8\n[tuning]\nresolution_epochs = 2\n"
    )

    assert recorder.has("tuning after resizing to 8 px, epoch 2 of 2")
    for name, epochs in (("chain-r8", 2), ("chain-p50-r8", 3)):
        tuning = _manifest(outcomes[name]).tuning
        assert tuning is not None
        assert (tuning.input_size, tuning.epochs) == (8, epochs)
    assert _manifest(outcomes["chain-base"]).tuning is None


RIVALS = """
name = "rivals"
[pruning]
scope = "all"
[tuning]
epochs = 2
learning_rate = 1e-2
rate_by_ratio = true
batch_size = 8
retries = {retries}
[[variants]]
[[variants]]
prune_ratio = 0.5
[[variants]]
prune_ratio = 0.05
"""


def test_a_stem_that_falls_below_one_pruned_more_is_tuned_again(run: Run) -> None:
    """From random weights the rate of a ratio of 5 % is too low to learn anything in time."""
    outcomes, told = run(RIVALS.format(retries=1))
    half, little = (_manifest(outcomes[f"chain-{name}"]) for name in ("p50", "p5"))

    assert half.accuracy.top1 > little.accuracy.top1
    assert told.has("pruning 5%, once more")
    assert not told.has("pruning 50%, once more")
    assert little.tuning is not None
    assert little.tuning.epochs in (2, 3)


def test_without_retries_nothing_is_tuned_again(run: Run) -> None:
    _, told = run(RIVALS.format(retries=0))

    assert told.has("tuning after pruning 5%")
    assert not told.has("once more")
