"""What the two models expect of every candidate, before and after each trial."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from builder.errors import first_line
from builder.progress import Progress, tracked
from builder.search.accuracy_model import predict_top1
from builder.search.candidate import Candidate, Space
from builder.search.findings import measurements
from builder.search.latency_model import LatencyModel, Timing
from builder.search.promise import Promise
from builder.search.trial import Trial
from builder.search.workload import Workload

_log = logging.getLogger(__name__)


class Estimator(Protocol):
    """What can be said of a candidate without building it."""

    def workload(self, candidate: Candidate) -> Workload:
        """Work of the candidate for one image."""

    def prior_drop(self, candidate: Candidate) -> float:
        """Drop of top-1 against its network's base that measured sensitivities foretell."""


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """Candidates whose work is known, with the drop that is foretold for each."""

    space: Space
    workloads: Mapping[Candidate, Workload]
    prior_drops: Mapping[Candidate, float]

    @classmethod
    def over(cls, space: Space, estimator: Estimator, progress: Progress) -> Outlook:
        """Ask `estimator` for every candidate of `space` once.

        A candidate whose work cannot be told is left out, and one whose sensitivity is
        unknown is expected to lose nothing by it until trials show otherwise.
        """
        workloads: dict[Candidate, Workload] = {}
        prior_drops: dict[Candidate, float] = {}
        everyone = space.candidates()
        # What is wrong with one candidate is mostly wrong with its siblings: said once.
        troubles: dict[tuple[str, str], Candidate] = {}
        for candidate in tracked(everyone, progress, "looking at candidates", len(everyone)):
            try:
                workload = estimator.workload(candidate)
            except Exception as error:  # noqa: BLE001 - networks may be the user's code
                trouble = f"left out, its work is unknown: {first_line(error)}"
                troubles.setdefault((candidate.architecture, trouble), candidate)
                continue
            workloads[candidate], prior_drops[candidate] = workload, 0.0
            try:
                prior_drops[candidate] = max(0.0, estimator.prior_drop(candidate))
            except Exception as error:  # noqa: BLE001 - likewise
                trouble = f"its sensitivity is unknown: {first_line(error)}"
                troubles.setdefault((candidate.architecture, trouble), candidate)
        for (_, trouble), candidate in troubles.items():
            _log.warning("%s, and perhaps others like it: %s", space.name(candidate), trouble)
        return cls(space=space, workloads=workloads, prior_drops=prior_drops)

    def promises(self, trials: Sequence[Trial]) -> dict[Candidate, Promise]:
        """Predicted time and accuracy of every candidate, learned from `trials`."""
        measured = {
            candidate: one
            for candidate, one in measurements(trials).items()
            if candidate in self.workloads
        }
        latency = LatencyModel.fit(
            [
                Timing(
                    architecture=candidate.architecture,
                    scheme=candidate.scheme,
                    workload=self.workloads[candidate],
                    p50_ms=one.p50_ms,
                )
                for candidate, one in measured.items()
            ]
        )
        top1 = predict_top1(
            self.space,
            {candidate: one.top1 for candidate, one in measured.items()},
            self.prior_drops,
        )
        return {
            candidate: Promise(
                log_ms=latency.predict(candidate.architecture, candidate.scheme, workload),
                top1=top1[candidate],
            )
            for candidate, workload in self.workloads.items()
        }
