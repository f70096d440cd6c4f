"""In which order a sweep's variants are measured, so that none profits from its turn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from agent.bundles import Bundle, Shelf
from agent.observation import Key


@dataclass(frozen=True, kw_only=True)
class Job:
    """A variant to measure at a thread count."""

    bundle: Bundle
    threads: int

    @property
    def key(self) -> Key:
        """Variant and thread count."""
        return self.bundle.member.variant, self.threads


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One fresh process for a job; `number` counts from 1."""

    job: Job
    number: int


def plan(shelf: Shelf, threads: list[int], variants: frozenset[str] | None = None) -> list[Job]:
    """Jobs of a sweep: for each thread count the baseline, then the others in set order.

    Args:
        shelf: the set.
        threads: thread counts, in the order to report them.
        variants: what to measure besides the baseline; None for everything.
    """
    baseline = shelf.bundle_set.baseline

    def is_wanted(bundle: Bundle) -> bool:
        name = bundle.member.variant
        return variants is None or name in variants or name == baseline

    wanted = [bundle for bundle in shelf.bundles if is_wanted(bundle)]
    wanted.sort(key=lambda bundle: bundle.member.variant != baseline)
    return [Job(bundle=bundle, threads=count) for count in threads for bundle in wanted]


def schedule(jobs: Sequence[Job], *, rounds: int, baseline: str, seed: str) -> list[Turn]:
    """Turns of all jobs: every round has each job once, in an order of its own.

    Heat, clocks and neighbours drift while a sweep goes on; by chance they meet all variants
    alike, and the rounds spread each variant over the whole time. The baseline, which speed-up
    refers to, comes first in the first round and last in the last one; with one round it
    has a turn at either end.

    Args:
        jobs: what to measure.
        rounds: fresh processes for each job.
        baseline: variant that speed-up refers to.
        seed: the same seed gives the same order, so that an interrupted sweep goes on in it.
    """
    draw = random.Random(seed)  # noqa: S311 - an order to measure in, no secret
    turns: list[Turn] = []
    for number in range(1, rounds + 1):
        bases = [job for job in jobs if job.bundle.member.variant == baseline]
        others = [job for job in jobs if job.bundle.member.variant != baseline]
        if number in {1, rounds}:
            draw.shuffle(others)
        else:
            others += bases
            draw.shuffle(others)
            bases = []
        order = [*others, *bases] if number == rounds > 1 else [*bases, *others]
        turns += [Turn(job=job, number=number) for job in order]
        if rounds == 1:
            turns += [Turn(job=job, number=number + 1) for job in bases]
    return turns
