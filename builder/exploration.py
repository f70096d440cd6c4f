"""A search from start to end: the images, the networks, the space, and what was found."""

from __future__ import annotations

import functools
import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from builder.deciders import Stage, sources_sha256
from builder.groundwork import lay_groundwork
from builder.networks.probing import smallest_input
from builder.planning import NetworkPlan
from builder.progress import Progress
from builder.quantization.instructions import BFLOAT16, host_has
from builder.request import BuildRequest
from builder.search.candidate import Space, smaller_inputs
from builder.search.findings import Findings, conclude
from builder.search.journal import Journal, open_journal
from builder.search.searcher import search
from builder.search.trial import Trial
from builder.workbench import BuilderWorkbench
from contract.manifest import Scheme


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What to search, and for how long."""

    #: What trials are built from, and where to. Its recipe's rules hold for every trial; its
    #: variants are not built for themselves.
    build: BuildRequest
    #: Most top-1 that the winner may lose against the first network's base, as a share.
    max_top1_drop: float
    #: Trials in all, those of earlier runs included.
    budget: int
    #: No trial is started after so many minutes; None for no limit.
    minutes: float | None = None


class Exploration:
    """One search over variants of some networks, which goes on where it was left."""

    def __init__(
        self,
        request: SearchRequest,
        *,
        search_path: Path,
        now: Callable[[], datetime],
        progress: Progress,
    ) -> None:
        """Open the images, plan the networks, and read what was tried before.

        Raises:
            UsageError: the request as a whole cannot be meant.
            DownloadError: published weights cannot be fetched.
            BusyError: another search is at work in the same place.
            ContractError: the folder holds a set that cannot be read.
            OSError: the folder cannot be written.
        """
        self._request = request
        self._progress = progress
        ground = lay_groundwork(request.build, search_path=search_path, progress=progress)
        ground.expect_writable()
        self._reservation = ground.workspace.reserve()
        dataset = ground.dataset.without_bad_images(progress)
        builds = {
            plan.architecture.name: (
                plan,
                ground.network_build(plan, dataset, now=now, progress=progress),
            )
            for plan in ground.plans
        }
        #: What may be tried, and what its variants are called.
        self.space = _space(ground.plans)
        #: For networks that were built before the set had an evaluation set.
        self._keep_evalsets = [
            functools.partial(ground.evalset.keep, plan, dataset) for plan in ground.plans
        ]
        self._bench = BuilderWorkbench(
            self.space,
            builds,
            out=request.build.out,
            shelf=ground.shelf,
            workspace=ground.workspace,
            keep_evalset=lambda plan: ground.evalset.keep(plan, dataset),
            progress=progress,
        )
        self._journal: Journal = open_journal(
            ground.workspace.trials, _digest(self.space, ground.plans)
        )

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every trial so far, those of earlier runs first."""
        return self._journal.trials

    def run(self) -> Iterator[Trial]:
        """Make trials until the budget or the time is spent, yielding each as it ends.

        Raises:
            OSError: the journal cannot be written.
        """
        minutes = self._request.minutes
        try:
            for keep in self._keep_evalsets:
                keep()
            yield from search(
                self.space,
                self._bench,
                self._journal,
                max_top1_drop=self._request.max_top1_drop,
                budget=self._request.budget,
                now_s=time.monotonic,
                progress=self._progress,
                deadline_s=math.inf if minutes is None else time.monotonic() + 60 * minutes,
            )
        finally:
            self._reservation.release()

    def findings(self) -> Findings:
        """What was found so far."""
        return conclude(self._journal.trials, self.space.baseline, self._request.max_top1_drop)


def _space(plans: Sequence[NetworkPlan]) -> Space:
    sizes = {}
    for plan in plans:
        base = plan.rule.input_size
        smaller = plan.settings.resolutions or smaller_inputs(base)[1:]
        taken = [size for size in smaller if smallest_input(plan.trial, size, size + 1)]
        sizes[plan.architecture.name] = (base, *taken)
    schemes = [Scheme.FP32, Scheme.STATIC_INT8]
    if host_has(BFLOAT16):
        schemes.append(Scheme.BF16)
    return Space(input_sizes=sizes, schemes=tuple(schemes))


def _digest(space: Space, plans: Sequence[NetworkPlan]) -> str:
    """Hash over everything that decides a trial; not the bar or the budget, which may grow."""
    rules = plans[0].settings.recipe
    decisive = {
        "space": space,
        "networks": [(plan.common, plan.rule) for plan in plans],
        "rules": (rules.pruning, rules.tuning, rules.quantization),
        "epochs": [(plan.finetune_epochs, plan.resolution_epochs) for plan in plans],
        "engine": plans[0].settings.engines[0],
        "sources": [sources_sha256(stage) for stage in Stage],
    }
    return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()
