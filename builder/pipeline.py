"""A build from start to end: every network, every variant, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from builder.data.dataset import Dataset
from builder.groundwork import lay_groundwork, settled
from builder.outcome import Outcome
from builder.planning import VariantPlan
from builder.progress import Progress
from builder.request import BuildRequest


def build_set(
    request: BuildRequest,
    *,
    search_path: Path,
    now: Callable[[], datetime],
    progress: Progress,
) -> Iterator[Outcome]:
    """Build all variants of all networks into one bundle set, yielding each as it ends.

    Variants that were built from the same inputs before are left as they are. One that fails
    is yielded with the reason, and the others are still built. `set.json` vouches for each
    bundle as soon as it is finished, so a build may be stopped at any time and run again.

    Args:
        request: what to build.
        search_path: folder from which the user's own networks can be imported.
        now: the present time, for the manifests.
        progress: told of every activity.

    Raises:
        UsageError: the request as a whole cannot be meant; nothing was built.
        DownloadError: published weights cannot be fetched; nothing was built.
        ContractError: the folder holds a set that cannot be read.
        OSError: the folder cannot be written.
    """
    ground = lay_groundwork(request, search_path=search_path, progress=progress)
    checked: Dataset | None = None
    for plan in ground.plans:
        pending: list[VariantPlan] = []
        for variant in plan.variants:
            outcome = settled(variant, ground.shelf)
            if outcome is None:
                pending.append(variant)
            else:
                yield outcome
        if pending or ground.evalset.lacks(plan):
            if checked is None:
                ground.expect_writable()
                checked = ground.dataset.without_bad_images(progress)
            if pending:
                build = ground.network_build(plan, checked, now=now, progress=progress)
                yield from build.run(pending)
            ground.evalset.keep(plan, checked)
