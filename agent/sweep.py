"""Measures a whole bundle set, one run after the other, baseline first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.attempts import Contest
from agent.bench import Effort, median_ms, observe
from agent.bundles import Bundle, Shelf
from agent.record import Origin, as_run
from agent.supervisor import Supervisor
from contract.benchmark import BenchRun


@dataclass(frozen=True, kw_only=True)
class Job:
    """One run to do."""

    bundle: Bundle
    threads: int


class Sweep:
    """Runs of a bundle set under one identity.

    Args:
        shelf: the set.
        sweep_id: name that all its runs carry.
        fingerprint: the environment, as every run states it.
        effort: how long each variant is measured.
        supervisor: starts the workers.
        root: where `/proc` and `/sys` are found.
        baselines_ms: medians of the baseline by thread count, where runs of the same sweep
            were made before.
        on_start: told of each job before it begins.
    """

    def __init__(
        self,
        shelf: Shelf,
        *,
        sweep_id: str,
        fingerprint: str,
        effort: Effort,
        supervisor: Supervisor,
        root: Path = Path("/"),
        baselines_ms: dict[int, float] | None = None,
        on_start: Callable[[Job], None] = lambda _job: None,
    ) -> None:
        self._shelf = shelf
        self._origin = Origin(
            sweep_id=sweep_id,
            fingerprint=fingerprint,
            mode=effort.mode,
            limits=supervisor.limits,
        )
        self._effort = effort
        self._supervisor = supervisor
        self._root = root
        self._baselines_ms = dict(baselines_ms or {})
        self._on_start = on_start
        self._contest = Contest(median_ms)

    def runs(self, jobs: list[Job]) -> Iterator[BenchRun]:
        """Yield each run as it is finished, failures included.

        Raises:
            StoppedError: the agent was asked to stop.
        """
        for job in jobs:
            self._on_start(job)
            yield self.run(job)

    def run(self, job: Job) -> BenchRun:
        """One run, with its speed-up over the baseline that this sweep measured before.

        Raises:
            StoppedError: the agent was asked to stop.
        """
        seen = observe(
            self._shelf,
            job.bundle,
            threads=job.threads,
            effort=self._effort,
            supervisor=self._supervisor,
            contest=self._contest,
            root=self._root,
        )
        run = as_run(
            self._shelf,
            job.bundle,
            self._origin,
            seen,
            baseline_p50_ms=self._baselines_ms.get(job.threads),
        )
        if run.variant == run.baseline and run.p50_ms is not None:
            self._baselines_ms[job.threads] = run.p50_ms
        return run


def plan(shelf: Shelf, threads: list[int], variants: frozenset[str] | None = None) -> list[Job]:
    """Jobs of a sweep: for each thread count the baseline, then the others in set order.

    Args:
        shelf: the set.
        threads: thread counts, in the order to measure them.
        variants: what to measure besides the baseline; None for everything.
    """
    baseline = shelf.bundle_set.baseline

    def is_wanted(bundle: Bundle) -> bool:
        name = bundle.member.variant
        return variants is None or name in variants or name == baseline

    wanted = [bundle for bundle in shelf.bundles if is_wanted(bundle)]
    wanted.sort(key=lambda bundle: bundle.member.variant != baseline)
    return [Job(bundle=bundle, threads=count) for count in threads for bundle in wanted]
