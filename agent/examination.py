"""Accuracy on this very device: a proven network answers the images of the evaluation set."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from agent import images
from agent.errors import EvalsetError, ImageError, NetworkError
from agent.evalset import read_questions
from agent.protocol import Examination, Examined
from agent.subject import Subject
from contract.interval import unpack_hits
from contract.manifest import Accuracy

_RANKED = 3


def examine(
    task: Examination,
    subject: Subject,
    *,
    now_s: Callable[[], float] = time.monotonic,
) -> Examined:
    """Count right answers, image by image, until all are done or the time is up.

    An image goes the way that `predict` and the builder's evaluation send it: every pixel
    decoded, cropped, scaled, standardised. Of equal logits the first output is the higher. What
    goes wrong is told and costs the timing nothing.
    """
    try:
        return _counted(task, subject, now_s)
    except (EvalsetError, NetworkError) as error:
        return Examined(problem=str(error))
    except MemoryError as error:
        return Examined(problem=f"out of memory: {error or 'allocation refused'}")


def _counted(task: Examination, subject: Subject, now_s: Callable[[], float]) -> Examined:
    deadline_s = now_s() + task.max_seconds
    manifest = subject.manifest
    builders = _builders_hits(manifest.accuracy, task)
    first: list[bool] = []
    within_3 = gained = lost = skipped = 0
    questions = read_questions(Path(task.path), manifest.architecture, drawn_from=task.drawn_from)
    for question in questions:
        try:
            picture = images.decode_image(question.content)
            inputs = images.network_input(picture, manifest.preprocessing)
        except ImageError:
            skipped += 1
        else:
            logits = subject.network.logits(inputs)[0]
            best = np.argsort(-logits, kind="stable")[:_RANKED].tolist()
            is_right = best[0] in question.answers
            first.append(is_right)
            within_3 += not question.answers.isdisjoint(best)
            if builders is not None:
                gained += is_right and not builders[question.position]
                lost += builders[question.position] and not is_right
        if now_s() >= deadline_s:
            break
    if not first:
        return Examined(skipped=skipped, problem="not one image of it could be read here")
    return Examined(
        images=len(first),
        right=sum(first),
        right_within_3=within_3,
        gained=None if builders is None else gained,
        lost=None if builders is None else lost,
        skipped=skipped,
    )


def _builders_hits(accuracy: Accuracy, task: Examination) -> list[bool] | None:
    """Which images of the list the builder had right; None where it was another list."""
    is_same = (accuracy.dataset, accuracy.images) == (task.dataset, task.drawn_from)
    if accuracy.hits is None or not is_same:
        return None
    try:
        return unpack_hits(accuracy.hits, accuracy.images)
    except ValueError:
        return None
