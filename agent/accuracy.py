"""What a sweep makes of the evaluation set: whether to ask, and what a run says of it."""

from __future__ import annotations

import dataclasses

import msgspec

from agent.bundles import Shelf
from agent.protocol import Examination, Examined, Measured
from agent.supervisor import Outcome
from contract.benchmark import BenchRun, RunStatus
from contract.bundleset import verify_member
from contract.interval import discordant_gap


def examination_of(shelf: Shelf, *, max_seconds: float) -> Examination | None:
    """Examination on the set's evaluation set; None without one, or without time for it.

    Raises:
        BundleDamagedError: the file is not the one that `set.json` names.
    """
    evalset = shelf.bundle_set.evalset
    if evalset is msgspec.UNSET or max_seconds <= 0.0:
        return None
    return Examination(
        path=str(verify_member(shelf.folder, evalset)),
        dataset=evalset.dataset,
        drawn_from=evalset.drawn_from,
        max_seconds=max_seconds,
    )


def spare_the_timing(outcome: Outcome) -> Outcome:
    """Outcome of a worker that was to examine: what is measured before stays a success.

    A picture may need more memory to decode than the variant needs to run.
    """
    if outcome.status is RunStatus.OK or outcome.last_event(Measured) is None:
        return outcome
    problem = f"{outcome.status.value}: {outcome.reason}"
    return dataclasses.replace(
        outcome,
        status=RunStatus.OK,
        reason=None,
        events=[*outcome.events, Examined(problem=problem)],
    )


def with_accuracy(run: BenchRun, examined: Examined) -> BenchRun:
    """Add the accuracy on this device, and a note where it is not the builder's."""
    if examined.problem is not None:
        note = f"accuracy was not measured on this device: {examined.problem}"
        return msgspec.structs.replace(run, notes=[*run.notes, note])
    notes = list(run.notes)
    if examined.skipped:
        told = f"{examined.skipped} image{'' if examined.skipped == 1 else 's'}"
        notes.append(f"{told} of the evaluation set could not be read here")
    difference = _difference(examined)
    if difference is not None:
        notes.append(difference)
    return msgspec.structs.replace(
        run,
        device_top1=examined.right / examined.images,
        device_top3=examined.right_within_3 / examined.images,
        device_images=examined.images,
        device_gained=examined.gained,
        device_lost=examined.lost,
        notes=notes,
    )


def _difference(examined: Examined) -> str | None:
    """Say that this device answers differently from the builder; None where chance may do so."""
    gained, lost, images = examined.gained, examined.lost, examined.images
    if gained is None or lost is None:
        return None
    gap = discordant_gap(gained, lost, images)
    if gap.low <= 0.0 <= gap.high:
        return None
    builders = examined.right - gained + lost
    return (
        f"accuracy on this device differs from the builder's: top-1 {examined.right / images:.1%} "
        f"against {builders / images:.1%} on the same {images} images "
        f"({gained} gained, {lost} lost), more than chance"
    )
