"""A search from start to end: propose, build, write down, again, until the budget is spent."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from typing import Protocol

from builder.errors import BuilderError, UnsupportedError, first_line, typed_line
from builder.outcome import Status
from builder.progress import Progress
from builder.search.candidate import Candidate, Space
from builder.search.journal import Journal
from builder.search.outlook import Estimator, Outlook
from builder.search.strategy import Proposal, propose
from builder.search.trial import Trial

_log = logging.getLogger(__name__)


class Workbench(Estimator, Protocol):
    """Builds candidates, and says what can be said of them before."""

    def build(self, candidate: Candidate) -> Trial:
        """Build, examine and time one candidate; it may raise anything."""


def search(
    space: Space,
    workbench: Workbench,
    journal: Journal,
    *,
    max_top1_drop: float,
    budget: int,
    now_s: Callable[[], float],
    progress: Progress,
    deadline_s: float = math.inf,
) -> Iterator[Trial]:
    """Try candidates until the budget or the time is spent, yielding each trial as it ends.

    Trials that stand in `journal` are not made again and count towards the budget, so a search
    that was interrupted goes on as if it had not been. A trial that fails, in whatever way, is
    written down with the reason, and the search goes on. What was found so far is
    `conclude(journal.trials, ...)` at any time.

    Args:
        space: what may be tried.
        workbench: builds and measures candidates.
        journal: trials of this very search so far; each new one is safe there before it is
            yielded.
        max_top1_drop: accuracy bar against the baseline, as a share: 0.01 is one point.
        budget: trials in all.
        now_s: a clock in seconds that never goes back.
        progress: told of trials and of the look at all candidates.
        deadline_s: no trial is started at this time of `now_s` or later.

    Raises:
        OSError: the journal cannot be written.
    """
    outlook: Outlook | None = None
    while len(journal.trials) < budget:
        progress.update("searching", len(journal.trials), budget)
        if now_s() >= deadline_s:
            _log.info("the time is up after %d of %d trials", len(journal.trials), budget)
            return
        outlook = outlook or Outlook.over(space, workbench, progress)
        trials = journal.trials
        proposal = propose(
            space,
            trials,
            outlook.promises(trials),
            max_top1_drop=max_top1_drop,
            budget=budget,
        )
        if proposal is None:
            _log.info(
                "nothing left that the front does not dominate with near certainty: "
                "%d of %d trials are enough",
                len(trials),
                budget,
            )
            return
        _report(space, proposal)
        trial = _attempt(workbench, proposal.candidate, now_s)
        journal.append(trial)
        yield trial
    progress.update("searching", len(journal.trials), budget)


def _attempt(workbench: Workbench, candidate: Candidate, now_s: Callable[[], float]) -> Trial:
    """Trial of `candidate`, whatever happens to it; only an interruption gets through."""
    start_s = now_s()
    try:
        trial = workbench.build(candidate)
    except UnsupportedError as error:
        status, reason = Status.UNSUPPORTED, str(error)
    except Exception as error:  # noqa: BLE001 - one failing trial never ends a search
        _log.debug("the trial of %s failed", candidate, exc_info=True)
        known = isinstance(error, BuilderError | OSError)
        reason = first_line(error) if known else typed_line(error)
        status = Status.FAILED
    else:
        fault = trial.fault()
        if fault is None and trial.candidate == candidate:
            return trial
        status, reason = Status.FAILED, fault or f"another variant was built: {trial.candidate}"
    return Trial(
        candidate=candidate, status=status, reason=reason, seconds=max(0.0, now_s() - start_s)
    )


def _report(space: Space, proposal: Proposal) -> None:
    name, promise = space.name(proposal.candidate), proposal.promise
    if promise is None:
        _log.info("trying %s (%s)", name, proposal.purpose)
        return
    low, high = promise.log_ms.interval
    _log.info(
        "trying %s (%s): expected %.3g ms (%.3g to %.3g), top-1 %.3f ± %.3f",
        name,
        proposal.purpose,
        math.exp(promise.log_ms.mean),
        math.exp(low),
        math.exp(high),
        promise.top1.mean,
        promise.top1.sd,
    )
