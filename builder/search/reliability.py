"""Whether a candidate can be built at all, judged by the trials that could not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.outcome import Status
from builder.search.candidate import Candidate, Space
from builder.search.trial import Trial

#: So many failures without one success leave a trait to the very end.
_PATIENCE = 3
_LAST_RESORT = 1e-3


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """What failed trials say of the candidates that are like them."""

    space: Space
    trials: Sequence[Trial]

    def is_impossible(self, candidate: Candidate) -> bool:
        """Whether a part of its changes is known to be more than the network supports.

        Where `resnet18-sq8` is unsupported, so is `resnet18-p30-sq8`; one failure proves
        nothing.
        """
        changes = self.space.changes(candidate)
        return any(
            trial.status is Status.UNSUPPORTED
            and trial.candidate.architecture == candidate.architecture
            and self.space.changes(trial.candidate) <= changes
            for trial in self.trials
        )

    def chance(self, candidate: Candidate) -> float:
        """Probability that it can be built: that of its least lucky trait.

        Traits are the network, and the network with one of the changes. With s successes in
        n trials of a trait the chance is (s + 1) / (n + 1).
        """
        return min(self._chance_of(candidate.architecture, {c}) for c in self._traits(candidate))

    def _traits(self, candidate: Candidate) -> list[tuple[str, object]]:
        return [("architecture", candidate.architecture), *self.space.changes(candidate)]

    def _chance_of(self, architecture: str, trait: set[tuple[str, object]]) -> float:
        alike = [
            trial
            for trial in self.trials
            if trial.candidate.architecture == architecture
            and trait <= set(self._traits(trial.candidate))
        ]
        successes = sum(trial.measurement is not None for trial in alike)
        if successes == 0 and len(alike) >= _PATIENCE:
            return _LAST_RESORT
        return (successes + 1) / (len(alike) + 1)
