"""Measures a whole bundle set: each variant in fresh processes, spread over the sweep."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agent.attempts import Contest
from agent.bench import median_ms, observe
from agent.bundles import Shelf
from agent.cooling import cool_down
from agent.effort import Effort
from agent.flips import rank_flips
from agent.observation import Key, Observation, Taken
from agent.record import Origin, as_run, settled_samples_ms
from agent.schedule import Job, Turn, schedule
from agent.spread import Spread
from agent.supervisor import Supervisor
from contract.benchmark import BenchRun, RunStatus
from contract.settings import Mode


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A run, and all the samples that its figures were taken from, in ms."""

    run: BenchRun
    samples_ms: list[float]


class Sweep:
    """Runs of a bundle set under one identity.

    Args:
        shelf: the set.
        sweep_id: name that all its runs carry; it also settles the order.
        fingerprint: the environment, as every run states it.
        effort: how long each variant is measured, and in how many processes.
        supervisor: starts the workers.
        root: where `/proc` and `/sys` are found.
        taken: turns of the same sweep that were taken before an interruption.
        during: makes what is entered while a turn is taken.
        on_taken: told of each turn as soon as it is over.
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
        taken: Sequence[Taken] = (),
        during: Callable[[Turn], AbstractContextManager[None]] = lambda _turn: nullcontext(),
        on_taken: Callable[[Taken], None] = lambda _taken: None,
    ) -> None:
        self._shelf = shelf
        self._origin = Origin(
            sweep_id=sweep_id,
            fingerprint=fingerprint,
            mode=effort.mode.value,
            limits=supervisor.limits,
        )
        self._effort = effort
        self._supervisor = supervisor
        self._root = root
        self._during = during
        self._on_taken = on_taken
        self._contest = Contest(median_ms)
        self._seen: dict[Key, dict[int, Observation]] = defaultdict(dict)
        self._examined_at: int | None = None
        for one in taken:
            self._seen[one.key][one.number] = one.observation

    def turns(self, jobs: Sequence[Job]) -> list[Turn]:
        """All turns of the jobs, in the order in which `finish` takes them."""
        return schedule(
            jobs,
            rounds=self._effort.processes,
            baseline=self._shelf.bundle_set.baseline,
            seed=self._origin.sweep_id,
        )

    def finish(self, jobs: Sequence[Job]) -> Iterator[Finished]:
        """Yield the run of each job: a failure at once, all others when every turn is taken.

        Only then is it known how well this box repeats itself, and what the baseline took.

        Raises:
            StoppedError: the agent was asked to stop.
        """
        failed: set[Key] = set()
        # More threads answer the same.
        self._examined_at = jobs[0].threads if jobs else None
        for turn in self.turns(jobs):
            key = turn.job.key
            if key in failed:
                continue
            if turn.number not in self._seen[key]:
                self._take(turn)
            if self._has_failed(self._seen[key][turn.number]):
                failed.add(key)
                yield self._finished(turn.job)
        well = [job for job in jobs if job.key not in failed]
        counts = dict.fromkeys(job.threads for job in well)
        spreads = {threads: self._spread(threads) for threads in counts}
        bases_ms = {threads: self._base_ms(threads) for threads in counts}
        finished = [
            self._finished(job, spreads[job.threads], bases_ms[job.threads]) for job in well
        ]
        flips = rank_flips([one.run for one in finished])
        for one in finished:
            notes = [*one.run.notes, *flips.get((one.run.variant, one.run.threads), [])]
            run = msgspec.structs.replace(one.run, notes=notes)
            yield Finished(run=run, samples_ms=one.samples_ms)

    def _take(self, turn: Turn) -> None:
        with self._during(turn):
            if self._effort.mode is Mode.SUSTAINED:
                cool_down(self._root, to_c=self._start_c(), rest=self._supervisor.rest)
            observation = observe(
                self._shelf,
                turn.job.bundle,
                threads=turn.job.threads,
                effort=self._effort,
                supervisor=self._supervisor,
                contest=self._contest,
                # In the last round it is known which preparation is fastest: no two are examined.
                examines=turn.number == self._effort.processes
                and turn.job.threads == self._examined_at,
                root=self._root,
            )
        self._seen[turn.job.key][turn.number] = observation
        self._on_taken(Taken(key=turn.job.key, number=turn.number, observation=observation))

    def _start_c(self) -> float | None:
        """Temperature at which this sweep began."""
        seen = [one for turns in self._seen.values() for one in turns.values()]
        first = min(seen, key=lambda one: one.started_at, default=None)
        return first.before.temperature_c if first else None

    def _has_failed(self, observation: Observation) -> bool:
        limit_bytes = self._supervisor.limits.memory_limit_bytes
        return observation.verdict(limit_bytes)[0] is not RunStatus.OK

    def _finished(
        self, job: Job, spread: Spread | None = None, baseline_p50_ms: float | None = None
    ) -> Finished:
        seen = self._in_order(job.key)
        run = as_run(
            self._shelf,
            job.bundle,
            self._origin,
            seen,
            spread=spread,
            baseline_p50_ms=baseline_p50_ms,
        )
        return Finished(run=run, samples_ms=settled_samples_ms(seen) if run.n else [])

    def _in_order(self, key: Key) -> list[Observation]:
        return [observation for _, observation in sorted(self._seen[key].items())]

    def _spread(self, threads: int) -> Spread | None:
        """How well this box repeated itself at a thread count."""
        if self._effort.processes == 1:
            return None
        groups = [
            [p50_ms for one in turns.values() if (p50_ms := one.p50_ms) is not None]
            for (_, count), turns in self._seen.items()
            if count == threads
        ]
        return Spread.pooled(groups)

    def _base_ms(self, threads: int) -> float | None:
        """Median of the baseline at a thread count, all its processes taken together."""
        baseline = self._shelf.bundle_set.baseline
        samples_ms = settled_samples_ms(self._in_order((baseline, threads)))
        return statistics.median(samples_ms) if samples_ms else None
