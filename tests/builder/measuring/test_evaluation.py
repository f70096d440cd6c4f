"""Accuracy, counted as a device would run the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builder.data.classes import Classes
from builder.data.dataset import open_dataset
from builder.errors import ExportError
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import Predictions, predict
from builder.progress import Silence
from contract.interval import pack_hits, unpack_hits
from contract.manifest import AccuracyKind, Preprocessing, Scheme


class _Counting:
    """A network in memory that notes the sizes of the batches it gets."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self.batches: list[int] = []

    def logits(self, inputs: Tensor) -> Tensor:
        self.batches.append(len(inputs))
        try:
            with torch.inference_mode():
                logits: Tensor = self._network(inputs)
        except RuntimeError as error:
            raise ExportError(str(error)) from error
        return logits


def _predict(network: _Counting, data: Path, rule: Preprocessing, scheme: Scheme) -> Predictions:
    paths = [sample.path for sample in open_dataset(data).val]
    return predict(network, paths, rule, scheme, progress=Silence(), activity="measuring")


def test_an_image_is_hit_where_one_of_its_answers_is_among_the_k_highest() -> None:
    top = torch.tensor([[0, 1, 2, 3, 4], [1, 0, 2, 3, 4], [4, 3, 2, 1, 0], [1, 2, 3, 4, 5]])
    predictions = Predictions(top=top)
    answers = torch.tensor([[0, -1], [0, -1], [0, -1], [0, 5]])

    assert predictions.hits_within(1, answers).tolist() == [True, False, False, False]
    assert predictions.hits_within(3, answers).tolist() == [True, True, False, False]
    assert predictions.hits_within(5, answers).tolist() == [True, True, True, True]


def test_images_run_in_batches_where_that_changes_nothing(
    make_tiny: Callable[..., nn.Module], data: Path, rule: Preprocessing
) -> None:
    network = _Counting(make_tiny("chain"))

    predictions = _predict(network, data, rule, Scheme.FP32)

    assert max(network.batches) == 12
    assert predictions.top.shape == (12, 3)


class _Centred(nn.Module):
    """Lets the images of a batch see each other."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(images - images.mean(dim=0))


@pytest.mark.parametrize("case", ["images see each other", "batch baked in", "dynamic INT8"])
def test_images_run_one_by_one_where_batches_would_change_the_answers(
    make_tiny: Callable[..., nn.Module], data: Path, rule: Preprocessing, case: str
) -> None:
    network = make_tiny("OneByOne" if case == "batch baked in" else "chain")
    counting = _Counting(_Centred(network) if case == "images see each other" else network)
    scheme = Scheme.DYNAMIC_INT8 if case == "dynamic INT8" else Scheme.FP32

    predictions = _predict(counting, data, rule, scheme)

    assert counting.batches[-12:] == [1] * 12
    assert predictions.top.shape == (12, 3)


def test_labels_are_the_outputs_of_the_class_folders(data: Path) -> None:
    dataset = open_dataset(data)
    classes = Classes(labels=("x",) * 10, outputs=((7,), (3, 4), (5,)))
    top = torch.tensor([[7]] * 4 + [[3], [4], [4], [5]] + [[0]] * 4)

    accuracy = Exam.of_labels(dataset, classes).grade(Predictions(top=top), None)

    assert accuracy.kind is AccuracyKind.LABELS
    assert (accuracy.top1, accuracy.images) == (pytest.approx(7 / 12), 12)


def test_hits_say_which_images_were_right_in_the_order_of_their_paths(data: Path) -> None:
    dataset = open_dataset(data)
    exam = Exam.of_labels(dataset, Classes(labels=("x",) * 3, outputs=((0,), (1,), (2,))))
    top = torch.tensor([[0]] * 4 + [[1], [0], [1], [0]] + [[0]] * 4)

    accuracy = exam.grade(Predictions(top=top), None)

    assert list(exam.paths) == sorted(exam.paths)
    assert accuracy.hits is not None
    hits = unpack_hits(accuracy.hits, accuracy.images)
    assert hits == [True] * 4 + [True, False, True, False] + [False] * 4


def test_agreement_is_held_against_the_baselines_first_choice(flat_data: Path) -> None:
    baseline = Predictions(top=torch.tensor([[0, 1]] * 8))
    other = Predictions(top=torch.tensor([[0, 1]] * 2 + [[1, 0]] * 6))

    exam = Exam.of_agreement(open_dataset(flat_data), baseline)

    assert exam.grade(baseline, None).top1 == 1.0
    accuracy = exam.grade(other, "x86")
    assert (accuracy.top1, accuracy.top3, accuracy.engine) == (0.25, 1.0, "x86")
    assert accuracy.kind is AccuracyKind.AGREEMENT
    assert accuracy.hits == pack_hits([True] * 2 + [False] * 6)
