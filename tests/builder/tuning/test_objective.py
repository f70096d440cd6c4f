"""Towards labels, and towards the answers of a teacher."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.data.dataset import open_dataset
from builder.progress import Silence
from builder.tuning.objective import Distillation, Example, Labels
from builder.tuning.schedule import Optimizer, Schedule
from builder.tuning.trainer import fit
from contract.manifest import Preprocessing
from support.noise_images import noise

Make = Callable[..., nn.Module]

UNKNOWN = Example(path=Path("nobody-knows.png"), targets=())
SCHEDULE = Schedule(
    epochs=6, batch_size=4, learning_rate=2e-3, optimizer=Optimizer.ADAM, one_cycle=True
)


def _teacher(make_tiny: Make) -> nn.Module:
    torch.manual_seed(0)
    return make_tiny("chain")


def test_the_teacher_itself_has_nothing_to_learn_and_needs_no_targets(make_tiny: Make) -> None:
    teacher, images = _teacher(make_tiny), noise(4)
    other = make_tiny("chain")
    objective = Distillation(teacher)

    itself = objective.loss(teacher(images), images, [UNKNOWN] * 4)

    assert float(itself) == pytest.approx(0.0, abs=1e-5)
    assert float(objective.loss(other(images), images, [UNKNOWN] * 4)) > 1e-4


@pytest.mark.parametrize("changes", [{}, {"mixup": 0.3}, {"shift": True, "mirror": True}])
def test_distillation_without_labels_brings_a_damaged_copy_back(
    make_tiny: Make, flat_data: Path, rule: Preprocessing, changes: dict[str, object]
) -> None:
    teacher = _teacher(make_tiny)
    with torch.no_grad():
        teacher.get_submodule("5.fc").weight *= 10.0
    before = copy.deepcopy(teacher.state_dict())
    student = copy.deepcopy(teacher)
    with torch.no_grad():
        student.get_submodule("5.fc").weight *= 0.2
    examples = [Example(path=s.path, targets=()) for s in open_dataset(flat_data).train]

    def fit_with(epochs: int) -> float:
        schedule = dataclasses.replace(SCHEDULE, epochs=epochs, **changes)
        return fit(
            student, examples, rule, schedule, Distillation(teacher),
            seed=0, progress=Silence(), activity="tuning",
        )  # fmt: skip

    first, last = fit_with(1), fit_with(25)

    assert last < 0.5 * first
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_network_sees_shrunk_images_and_the_teacher_whole_ones(
    make_tiny: Make, flat_data: Path, rule: Preprocessing
) -> None:
    teacher, student = _teacher(make_tiny), _teacher(make_tiny)
    seen: dict[str, set[int]] = {"teacher": set(), "student": set()}
    teacher.register_forward_pre_hook(lambda _, i: seen["teacher"].add(i[0].shape[-1]))
    student.register_forward_pre_hook(lambda _, i: seen["student"].add(i[0].shape[-1]))
    examples = [Example(path=s.path, targets=()) for s in open_dataset(flat_data).train]

    fit(
        student, examples, rule, dataclasses.replace(SCHEDULE, epochs=1, shrink_to=8),
        Distillation(teacher), seed=0, progress=Silence(), activity="tuning",
    )  # fmt: skip

    assert seen == {"teacher": {16}, "student": {8}}


def test_any_of_several_right_outputs_will_do() -> None:
    logits = torch.tensor([[0.25, 0.25, 0.5]]).log()
    batch = [Example(path=Path("dog.png"), targets=(0, 2))]

    assert float(Labels().loss(logits, logits, batch)) == pytest.approx(-math.log(0.75))
