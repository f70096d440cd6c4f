"""Measures one variant at one thread count; every way to fail is a result."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from agent.accuracy import examination_of, spare_the_timing
from agent.attempts import Contest
from agent.bundles import Bundle, Shelf
from agent.conditions import read_conditions
from agent.effort import Effort
from agent.observation import Observation
from agent.probes.throttle import read_throttle
from agent.protocol import Examination, Measured, Preparation
from agent.supervisor import Outcome, Supervisor
from contract.benchmark import RunStatus
from contract.bundleset import verify_member
from contract.errors import BundleDamagedError
from contract.settings import Mode

#: Enough to tell which of two preparations is faster.
_TRIAL = Effort()


def observe(
    shelf: Shelf,
    bundle: Bundle,
    *,
    threads: int,
    effort: Effort,
    supervisor: Supervisor,
    contest: Contest,
    examines: bool = False,
    root: Path = Path("/"),
) -> Observation:
    """Check the file's hash, then run it in fresh processes, prepared the fastest way.

    With `examines`, accuracy is measured too where the set has images for it.

    Raises:
        StoppedError: the agent was asked to stop.
    """
    started_at, started = time.time(), time.monotonic()
    throttle = read_throttle(root)
    before = read_conditions(root)
    outcome: Outcome | None = None
    damage: str | None = None
    notes: list[str] = []
    try:
        path = fit_to_load(shelf, bundle)
    except BundleDamagedError as error:
        damage = str(error)
    else:
        examination, problems = _examination(shelf, effort) if examines else (None, [])

        def attempt(
            preparation: Preparation, pains: Effort, exam: Examination | None = None
        ) -> Outcome:
            task = pains.task(path, threads=threads, preparation=preparation, examination=exam)
            extra_s = pains.max_seconds if pains.mode is Mode.SUSTAINED else 0.0
            if exam is None:
                return supervisor.perform(task, extra_s=extra_s)
            return spare_the_timing(supervisor.perform(task, extra_s=extra_s + exam.max_seconds))

        if effort.mode is Mode.SUSTAINED and contest.is_open(bundle.manifest, threads):
            # Which preparation is faster shows in seconds; it need not be asked for minutes.
            contest.run(bundle.manifest, threads, lambda way: attempt(way, _TRIAL))
        outcome, notes = contest.run(
            bundle.manifest, threads, lambda way: attempt(way, effort, examination)
        )
        notes = [*notes, *problems]
    return Observation(
        threads=threads,
        started_at=started_at,
        duration_s=time.monotonic() - started,
        before=before,
        after=read_conditions(root, since=throttle),
        outcome=outcome,
        damage=damage,
        notes=notes,
    )


def _examination(shelf: Shelf, effort: Effort) -> tuple[Examination | None, list[str]]:
    """What to ask of accuracy, and why it cannot be asked although the set has images."""
    try:
        return examination_of(shelf, max_seconds=effort.evalset_seconds), []
    except BundleDamagedError as error:
        return None, [f"accuracy was not measured on this device: {error}"]


def median_ms(outcome: Outcome) -> float | None:
    """Median latency of a measurement that went well, else None."""
    measured = outcome.last_event(Measured)
    if outcome.status is not RunStatus.OK or measured is None:
        return None
    return statistics.median(measured.settled_ms)


def fit_to_load(shelf: Shelf, bundle: Bundle) -> Path:
    """Path of a bundle whose bytes are the set's and whose papers are its own.

    Raises:
        BundleDamagedError: it must not be loaded.
    """
    path = verify_member(shelf.folder, bundle.member)
    named = bundle.manifest.variant
    if named != bundle.member.variant:
        message = (
            f"{path}: manifest.variant: expected '{bundle.member.variant}' as in the set, "
            f"got '{named}'; build the set again"
        )
        raise BundleDamagedError(message)
    return path
