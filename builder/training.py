"""The `train` command's work: a network from scratch or from given weights, to a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder.data.classes import match_classes
from builder.data.dataset import open_dataset
from builder.data.preprocessing import AskedInput, input_rule, resized
from builder.data.standardization import Standardization
from builder.errors import DataError
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import InMemory, predict
from builder.networks import vision
from builder.networks.architectures import resolve
from builder.networks.probing import check_input, smallest_input
from builder.networks.state_file import write_state
from builder.networks.weights import find_weights
from builder.progress import Progress
from builder.recipe import VariantSpec
from builder.tuning.objective import Example, Labels
from builder.tuning.schedule import Optimizer, Schedule
from builder.tuning.trainer import fit
from contract.files import expect_writable, sha256_of
from contract.manifest import Accuracy, Preprocessing, Scheme

#: Of the shipped recipes' variant with a smaller input.
_SMALLER_AT_224 = 160


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """What to train, on what, and where to write its weights."""

    architecture: str
    data: Path
    out: Path
    #: `default`, `none` or a file.
    weights: str
    input_size: int | None
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int
    #: Mean and deviation of the input; None takes the network's own.
    standardization: Standardization | None = None


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """A weights file that training left, and how good it is."""

    architecture: str
    file: str
    bytes: int
    sha256: str
    parameters: int
    classes: list[str]
    preprocessing: Preprocessing
    epochs: int
    loss: float
    accuracy: Accuracy


def train(request: TrainRequest, *, search_path: Path, progress: Progress) -> Trained:
    """Train a network on `train/`, measure it on `val/`, and write its state dict.

    The file says how images became input, so that a build need not be told again.
    The output is as wide as `train/` has folders; weights for other classes keep all but
    their last layer. Training takes AdamW, one rise and fall of the learning rate, randomly
    shifted images, and from the third epoch on now and then the smaller input that the
    variants rNNN will take (seen on digits, ResNet-18 trained at 32 px: 97 % instead of 25 %
    at 24 px, and no less at 32).

    Raises:
        UsageError: the architecture, the weights, the data or the input size do not fit.
        TuningError: the loss became infinite or not a number.
        OSError: the file cannot be written; what was there stays.
    """
    dataset = open_dataset(request.data)
    if not dataset.labelled:
        message = f"{request.data}: training needs labels: train/ and val/ with a folder per class"
        raise DataError(message)
    architecture = resolve(request.architecture, search_path=search_path)
    weights = find_weights(request.weights, architecture, progress)
    network = weights.network_with_new_head(len(dataset.folders), request.seed)
    asked = AskedInput(size=request.input_size, standardization=request.standardization)
    rule = input_rule(weights, network, asked)
    outputs = check_input(network, architecture.name, rule.input_size)
    classes = match_classes(
        dataset.folders,
        outputs,
        is_imagenet=weights.published is not None,
        resizable=architecture.resizable,
    )
    expect_writable(request.out.parent)
    dataset = dataset.without_bad_images(progress)
    examples = [
        Example(path=sample.path, targets=classes.outputs[sample.folder])
        for sample in dataset.train
        if sample.folder is not None
    ]
    size = VariantSpec(input_at_224=_SMALLER_AT_224).input_size(rule.input_size)
    smaller = smallest_input(network, size, rule.input_size)
    schedule = Schedule(
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=request.learning_rate,
        optimizer=Optimizer.ADAMW,
        one_cycle=True,
        shift=True,
        smaller=None if smaller is None else resized(rule, smaller),
    )
    loss = fit(
        network,
        examples,
        rule,
        schedule,
        Labels(),
        seed=request.seed,
        progress=progress,
        activity=f"{architecture.name}: training",
    )
    exam = Exam.of_labels(dataset, classes)
    predictions = predict(
        InMemory(network),
        exam.paths,
        rule,
        Scheme.FP32,
        progress=progress,
        activity=f"{architecture.name}: measuring accuracy",
    )
    write_state(network, vision.without_own_transform(network, rule), request.out)
    return Trained(
        architecture=architecture.name,
        file=str(request.out),
        bytes=request.out.stat().st_size,
        sha256=sha256_of(request.out),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        classes=list(classes.labels),
        preprocessing=rule,
        epochs=request.epochs,
        loss=loss,
        accuracy=exam.grade(predictions, None),
    )
