"""One network, from its weights to the figures of all contenders."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from agent.affinity import usable_cores
from agent.probes.load import LoadMeter
from benchmarks.lib import edgewright, onnx_runtime, open_vino
from benchmarks.lib.bundles import Order, build_bundles
from benchmarks.lib.contender import Contender, Floats, Framework
from benchmarks.lib.edgewright import BASE
from benchmarks.lib.grading import answers_of, grade, right_outputs
from benchmarks.lib.report import Figures, Section, TopOne
from benchmarks.lib.rounds import Pace, Ratio, Work, latency, ratio, time_in_rounds
from benchmarks.lib.setup import OnnxSource, Setup
from benchmarks.lib.subject import Subject, find_subject, read_input
from builder.progress import Progress

#: What the others are held against, where it took part.
_REFERENCES = (
    BASE,
    f"{Framework.OPENVINO} fp32",
    f"{Framework.OPENVINO} int8",
    f"{Framework.ONNX_RUNTIME} int8",
)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to measure of one network."""

    order: Order
    frameworks: Sequence[Framework]
    pace: Pace
    #: Whether to count right answers on `val/`, which must be labelled.
    with_accuracy: bool
    scratch: Path
    search_path: Path
    has_int8_dot_products: bool
    progress: Progress


def measure(question: Question) -> Section:
    """Make all contenders of a network, count their right answers and time them together.

    Raises:
        UsageError: the request cannot be meant.
        BuilderError: the base could not be built.
    """
    built = build_bundles(question.order, question.progress)
    subject = find_subject(
        question.order, built, search_path=question.search_path, progress=question.progress
    )
    setup = Setup(
        subject=subject,
        scratch=question.scratch,
        has_int8_dot_products=question.has_int8_dot_products,
        progress=question.progress,
    )
    contenders = [
        *edgewright.make_contenders(built),
        *_others(setup, question.frameworks),
    ]
    accuracies = _accuracies(question, subject, contenders) if question.with_accuracy else {}
    images = {
        rule: read_input(subject.dataset.val[0].path, rule)
        for rule in dict.fromkeys(contender.rule for contender in contenders)
    }
    errors = {
        contender.name: _logit_error(subject, contender, images[subject.rule])
        for contender in contenders
        if contender.rule == subject.rule and contender.macs == subject.macs
    }
    meter = LoadMeter(Path("/"), cores=usable_cores())
    samples = time_in_rounds(
        {one.name: _work(one, images[one.rule]) for one in contenders},
        question.pace,
        seed=question.order.seed,
        on_round=lambda done: question.progress.update(
            f"{subject.architecture}: timing", done, question.pace.rounds
        ),
    )
    section = Section(
        network=subject.architecture,
        input_size=subject.rule.input_size,
        data=subject.dataset.name,
        weights=subject.weights,
        calibration_images=len(subject.calibration),
        foreign_share=meter.foreign_share(),
        missed=list(built.missed),
        contenders=[
            Figures(
                contender=one.name,
                framework=one.framework,
                scheme=one.scheme,
                input_size=one.rule.input_size,
                macs=one.macs,
                bytes=one.bytes,
                build_s=one.build_s,
                latency=latency(samples[one.name]),
                logit_error=errors.get(one.name),
                accuracy=accuracies.get(one.name),
                samples_ms=samples[one.name],
            )
            for one in contenders
        ],
        ratios=list(_ratios(samples)),
    )
    # Before the next network is made: they may be large.
    del contenders, images
    gc.collect()
    return section


def _others(setup: Setup, frameworks: Sequence[Framework]) -> list[Contender]:
    makers = {
        Framework.ONNX_RUNTIME: onnx_runtime.make_contenders,
        Framework.OPENVINO: open_vino.make_contenders,
    }
    asked = [makers[framework] for framework in frameworks if framework in makers]
    if not asked:
        return []
    source = OnnxSource.written(setup)
    return [contender for make in asked for contender in make(setup, source)]


def _accuracies(
    question: Question, subject: Subject, contenders: Sequence[Contender]
) -> dict[str, TopOne]:
    samples = subject.dataset.val
    right = right_outputs(samples, subject.classes)
    activity = f"{subject.architecture}: counting right answers"
    answers = answers_of(contenders, samples, question.progress, activity)
    return {name: grade(given, answers[BASE], right) for name, given in answers.items()}


def _logit_error(subject: Subject, contender: Contender, image: Floats) -> float:
    with torch.inference_mode():
        expected = subject.network(torch.from_numpy(image)).numpy()
    span = float(expected.max() - expected.min())
    return float(abs(contender.logits(image) - expected).max()) / span


def _work(contender: Contender, image: Floats) -> Work:
    return lambda: contender.logits(image)


def _ratios(samples: dict[str, list[list[float]]]) -> Iterator[Ratio]:
    for reference in (name for name in _REFERENCES if name in samples):
        for name in samples:
            if name != reference:
                yield ratio(name, reference, samples)
