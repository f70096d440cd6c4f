"""A search against a plain grid of the same budget: both made, then timed together."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.affinity import usable_cores
from agent.probes.load import LoadMeter
from benchmarks.lib.bundles import Built, Bundle, Order, build_bundles
from benchmarks.lib.contest_report import Contest, Entrant, Winners
from benchmarks.lib.edgewright import fastest_way
from benchmarks.lib.processor import Processor
from benchmarks.lib.rounds import Pace, Samples, latency, ratio, time_in_rounds
from benchmarks.lib.standing import Rivalry, Standing, judge, spanned
from benchmarks.lib.subject import read_input
from benchmarks.lib.trials import Searched, run_search
from builder.data.dataset import open_dataset
from builder.front import pareto_front
from builder.progress import Progress, tracked
from builder.report.gap import accuracy_gap
from builder.search.findings import meets_bar


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is made, and how it is timed."""

    order: Order
    #: Of the search; what the grid has is in the order's recipe.
    budget: int
    max_top1_drop: float
    pace: Pace
    started_at: str
    processor: Processor
    versions: dict[str, str]
    progress: Progress


def hold(rules: Rules) -> Contest:
    """Search, build the grid, time all variants together, and compare.

    The search comes first, into an empty folder, so it is the one that a user would have.
    The grid comes into the same folder, where it takes up the variants that both want.

    Raises:
        UsageError: the images cannot be used.
        BuilderError: the grid or the search has no baseline.
        ContractError: a bundle cannot be read.
        OSError: the folder cannot be written.
    """
    order = rules.order
    searched = run_search(
        order,
        budget=rules.budget,
        max_top1_drop=rules.max_top1_drop,
        progress=rules.progress,
    )
    built = build_bundles(order, rules.progress)
    bundles = {one.manifest.variant: one for one in (*built.bundles, *searched.bundles)}
    samples, foreign_share = _times(rules, list(bundles.values()))
    return _Comparison(built=built, searched=searched, bundles=bundles, samples=samples).contest(
        rules, foreign_share
    )


def _times(
    rules: Rules, bundles: Sequence[Bundle]
) -> tuple[dict[str, list[list[float]]], float | None]:
    """Milliseconds of each variant by round, and what other processes took of the core."""
    photo = open_dataset(rules.order.data).val[0].path
    works = {
        bundle.manifest.variant: fastest_way(
            bundle, read_input(photo, bundle.manifest.preprocessing)
        )
        for bundle in tracked(bundles, rules.progress, "loading", len(bundles))
    }
    meter = LoadMeter(Path("/"), cores=usable_cores())
    samples = time_in_rounds(
        works,
        rules.pace,
        seed=rules.order.seed,
        on_round=lambda done: rules.progress.update("timing", done, rules.pace.rounds),
        # Torch on one thread works in this one.
        clock_ns=time.thread_time_ns,
    )
    return samples, meter.foreign_share()


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """Both sets, with the times of all."""

    built: Built
    searched: Searched
    bundles: Mapping[str, Bundle]
    samples: Mapping[str, Samples]

    @property
    def grid(self) -> list[str]:
        return [bundle.manifest.variant for bundle in self.built.bundles]

    @property
    def tried(self) -> list[str]:
        return [bundle.manifest.variant for bundle in self.searched.bundles]

    def contest(self, rules: Rules, foreign_share: float | None) -> Contest:
        base = self.built.base.manifest
        verdicts = list(judge(self.grid, self.tried, self._rivalry))
        counted = Counter(verdict.standing for verdict in verdicts)
        worst = (
            max(self._log_ms(name) for name in self.grid),
            min(self._top1(name) for name in self.grid),
        )
        return Contest(
            started_at=rules.started_at,
            processor=rules.processor,
            versions=rules.versions,
            network=base.architecture,
            input_size=base.preprocessing.input_size,
            data=base.accuracy.dataset,
            images=base.accuracy.images,
            weights=base.provenance.weights,
            recipe=rules.order.recipe,
            seed=rules.order.seed,
            budget=rules.budget,
            tried=self.searched.tried,
            search_s=self.searched.seconds,
            foreign_share=foreign_share,
            missed=[*self.built.missed, *self.searched.missed],
            entrants=self._entrants(),
            verdicts=verdicts,
            counts={standing: counted[standing] for standing in Standing},
            winners=self._winners(rules.max_top1_drop),
            grid_area=spanned([self._point(name) for name in self.grid], worst),
            search_area=spanned([self._point(name) for name in self.tried], worst),
        )

    def _entrants(self) -> list[Entrant]:
        front = pareto_front(self.tried, gain=self._top1, costs=[self._log_ms])
        return [
            Entrant(
                variant=name,
                in_grid=name in self.grid,
                in_search=name in self.tried,
                is_on_front=name in front,
                dominated=[
                    other
                    for other in self.grid
                    if other != name and self._rivalry(name, other).dominates
                ],
                macs=bundle.manifest.macs,
                bytes=bundle.member.bytes,
                top1=self._top1(name),
                latency=latency(self.samples[name]),
                samples_ms=[list(timed) for timed in self.samples[name]],
            )
            for name, bundle in sorted(self.bundles.items(), key=lambda pair: self._log_ms(pair[0]))
        ]

    def _winners(self, max_top1_drop: float) -> Winners:
        base = self._top1(self.built.base.manifest.variant)
        within = [name for name in self.grid if meets_bar(self._top1(name), base, max_top1_drop)]
        of_grid, of_search = min(within, key=self._log_ms), self.searched.best
        same = of_grid == of_search
        return Winners(
            max_top1_drop=max_top1_drop,
            of_grid=of_grid,
            of_search=of_search,
            speed=None if same else ratio(of_search, of_grid, self.samples),
        )

    def _rivalry(self, tried: str, other: str) -> Rivalry:
        mine, its = self.bundles[tried].manifest, self.bundles[other].manifest
        return Rivalry(
            tried=tried,
            speed=ratio(tried, other, self.samples),
            gap=accuracy_gap(mine.accuracy, its.accuracy),
        )

    def _point(self, name: str) -> tuple[float, float]:
        return self._log_ms(name), self._top1(name)

    def _log_ms(self, name: str) -> float:
        return math.log(latency(self.samples[name]).p50_ms)

    def _top1(self, name: str) -> float:
        return self.bundles[name].manifest.accuracy.top1
