"""The same images through several variants, side by side."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

from agent.attempts import Contest
from agent.bench import fit_to_load
from agent.bundles import Bundle, Shelf
from agent.errors import ImageError
from agent.images import open_image
from agent.protocol import Answer, Predict, Predicted, Preparation, Ranked
from agent.supervisor import Outcome, Supervisor
from contract.benchmark import RunStatus
from contract.errors import BundleDamagedError

TOP_K = 3


class Opinion(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant says of one image, or why it says nothing; milliseconds."""

    variant: str
    status: RunStatus
    reason: str | None = None
    top: list[Ranked] = []
    decode_ms: float | None = None
    preprocess_ms: float | None = None
    inference_ms: float | None = None
    postprocess_ms: float | None = None
    #: Time of the set's baseline for the same image over this one's.
    speedup: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One image through every variant; `error` says why an image was skipped."""

    image: str
    error: str | None = None
    opinions: list[Opinion] = []


def compare(
    shelf: Shelf,
    bundles: list[Bundle],
    paths: list[Path],
    *,
    threads: int,
    supervisor: Supervisor,
    on_start: Callable[[Bundle], None] = lambda _bundle: None,
) -> list[Comparison]:
    """One comparison an image, in the order given; bad images are kept, with their error.

    Each variant answers for all images in one fresh process.

    Args:
        shelf: the set that the bundles belong to.
        bundles: the variants to ask, in the order to list them.
        paths: image files.
        threads: CPU threads of one inference.
        supervisor: starts the workers.
        on_start: told of each variant before it begins.
    """
    contest = Contest(_median_ms)
    errors = {path: _defect(path) for path in paths}
    good = [path for path, error in errors.items() if error is None]
    opinions: dict[Path, list[Opinion]] = {path: [] for path in good}
    for bundle in bundles if good else []:
        on_start(bundle)
        for path, opinion in zip(
            good,
            _ask(shelf, bundle, good, threads=threads, supervisor=supervisor, contest=contest),
            strict=True,
        ):
            opinions[path].append(opinion)
    baseline = shelf.bundle_set.baseline
    return [
        Comparison(
            image=str(path),
            error=errors[path],
            opinions=_with_speedups(opinions.get(path, []), baseline),
        )
        for path in paths
    ]


def _median_ms(outcome: Outcome) -> float | None:
    predicted = outcome.last_event(Predicted)
    if outcome.status is not RunStatus.OK or predicted is None:
        return None
    return statistics.median(answer.inference_ms for answer in predicted.answers)


def _defect(path: Path) -> str | None:
    try:
        open_image(path)
    except ImageError as error:
        return str(error)
    return None


def _ask(
    shelf: Shelf,
    bundle: Bundle,
    paths: list[Path],
    *,
    threads: int,
    supervisor: Supervisor,
    contest: Contest,
) -> list[Opinion]:
    """One opinion an image."""
    variant = bundle.member.variant
    try:
        file = fit_to_load(shelf, bundle)
    except BundleDamagedError as error:
        damaged = Opinion(variant=variant, status=RunStatus.DAMAGED, reason=str(error))
        return [damaged] * len(paths)

    def attempt(preparation: Preparation) -> Outcome:
        task = Predict(
            threads=threads,
            bundle=str(file),
            preparation=preparation,
            images=[str(path) for path in paths],
            top_k=TOP_K,
        )
        return supervisor.perform(task)

    outcome, _ = contest.run(bundle.manifest, threads, attempt)
    predicted = outcome.last_event(Predicted)
    if predicted is None:
        silent = Opinion(variant=variant, status=outcome.status, reason=outcome.reason)
        return [silent] * len(paths)
    return [_opinion(variant, answer) for answer in predicted.answers]


def _opinion(variant: str, answer: Answer) -> Opinion:
    return Opinion(
        variant=variant,
        status=RunStatus.OK,
        top=answer.top,
        decode_ms=answer.decode_ms,
        preprocess_ms=answer.preprocess_ms,
        inference_ms=answer.inference_ms,
        postprocess_ms=answer.postprocess_ms,
    )


def _with_speedups(opinions: list[Opinion], baseline: str) -> list[Opinion]:
    base_ms = next((o.inference_ms for o in opinions if o.variant == baseline), None)
    if base_ms is None:
        return opinions
    return [
        opinion
        if opinion.inference_ms is None
        else msgspec.structs.replace(opinion, speedup=base_ms / opinion.inference_ms)
        for opinion in opinions
    ]
