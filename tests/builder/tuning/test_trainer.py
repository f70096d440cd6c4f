"""Training a network on images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.data.dataset import open_dataset
from builder.data.preprocessing import resized
from builder.errors import TuningError
from builder.progress import Silence
from builder.tuning.objective import Example, Labels
from builder.tuning.schedule import Optimizer, Schedule
from builder.tuning.trainer import fit
from contract.manifest import Preprocessing

Make = Callable[..., nn.Module]

SCHEDULE = Schedule(epochs=2, batch_size=8, learning_rate=1e-2, optimizer=Optimizer.ADAM)


@pytest.fixture(scope="module")
def examples(data: Path) -> list[Example]:
    return [
        Example(path=sample.path, targets=(sample.folder,))
        for sample in open_dataset(data).train
        if sample.folder is not None
    ]


def _fit(
    network: nn.Module, examples: list[Example], rule: Preprocessing, **changes: object
) -> float:
    schedule = dataclasses.replace(SCHEDULE, **changes)
    return fit(
        network, examples, rule, schedule, Labels(), seed=5, progress=Silence(), activity="training"
    )


def _fresh(make_tiny: Make) -> nn.Module:
    torch.manual_seed(0)
    return make_tiny("chain")


@pytest.mark.parametrize("optimizer", list(Optimizer))
def test_training_learns_what_tells_the_classes_apart(
    make_tiny: Make, examples: list[Example], rule: Preprocessing, optimizer: Optimizer
) -> None:
    loss = _fit(
        _fresh(make_tiny), examples, rule, epochs=6, optimizer=optimizer, one_cycle=True,
        shift=True,
    )  # fmt: skip

    assert loss < 0.3 * math.log(3)


def test_from_the_third_epoch_on_some_batches_are_trained_at_the_smaller_input(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    network, sizes = _fresh(make_tiny), []
    network.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].shape[-1]))

    _fit(network, examples, rule, epochs=8, smaller=resized(rule, 8))

    first_two_epochs, later = sizes[:10], sizes[10:]
    assert set(first_two_epochs) == {16}
    assert set(later) == {8, 16}
    assert 0.1 < later.count(8) / len(later) < 0.6


def test_the_same_seed_gives_the_same_weights(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    one, other = _fresh(make_tiny), _fresh(make_tiny)

    assert _fit(one, examples, rule, shift=True) == _fit(other, examples, rule, shift=True)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_afterwards_the_network_evaluates_and_holds_no_gradients(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    network = _fresh(make_tiny)

    _fit(network, examples, rule)

    assert not any(module.training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_last_batch_of_one_image_does_not_trip_batch_normalisation(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    network = nn.Sequential(_fresh(make_tiny), nn.BatchNorm1d(3))

    assert math.isfinite(_fit(network, examples[:9], rule))


def test_a_single_image_is_too_little(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    with pytest.raises(TuningError, match="at least 2 images, got 1"):
        _fit(_fresh(make_tiny), examples[:1], rule)


def test_a_loss_that_runs_away_is_an_error_that_names_the_learning_rate(
    examples: list[Example], rule: Preprocessing
) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16 * 16 * 3, 3))

    with pytest.raises(TuningError, match=r"loss became .*below 1e\+38"):
        _fit(network, examples, rule, learning_rate=1e38, epochs=3)


def test_progress_tells_epochs_and_batches(
    make_tiny: Make, examples: list[Example], rule: Preprocessing
) -> None:
    seen: list[tuple[str, int, int]] = []

    class Recorder:
        def update(self, activity: str, done: int, total: int) -> None:
            seen.append((activity, done, total))

    fit(
        _fresh(make_tiny), examples, rule, SCHEDULE, Labels(),
        seed=0, progress=Recorder(), activity="tiny",
    )  # fmt: skip

    assert seen[0] == ("tiny, epoch 1 of 2", 0, 5)
    assert seen[-1] == ("tiny, epoch 2 of 2", 5, 5)
