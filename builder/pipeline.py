"""A build from start to end: every network, every variant, one at a time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder.bundles.shelf import Shelf
from builder.data.dataset import Dataset, open_dataset
from builder.network_build import NetworkBuild
from builder.outcome import Outcome, Status
from builder.planning import Settings, VariantPlan, plan_networks
from builder.progress import Progress
from builder.workspace import Workspace
from contract.files import expect_writable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What to build, from what, and where to."""

    architectures: tuple[str, ...]
    data: Path
    out: Path
    #: By architecture: `default`, `none` or a file.
    weights: Mapping[str, str]
    settings: Settings


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
    dataset = open_dataset(request.data)
    plans = plan_networks(
        request.architectures,
        weights=request.weights,
        dataset=dataset,
        settings=request.settings,
        search_path=search_path,
        progress=progress,
    )
    if not dataset.labelled:
        _log.warning(
            "%s has no class folders: agreement with the base stands in for accuracy, and "
            "pruned variants learn from the base's answers",
            dataset.root,
        )
    shelf = Shelf(request.out, baseline=plans[0].base.name)
    workspace = Workspace.beside(request.out)
    checked: Dataset | None = None
    for plan in plans:
        pending: list[VariantPlan] = []
        for variant in plan.variants:
            finished = shelf.finished(variant.name, variant.inputs_sha256)
            if finished is not None:
                member, manifest = finished
                yield Outcome(
                    variant=variant.name,
                    status=Status.UNCHANGED,
                    reason="built before from the same inputs",
                    member=member,
                    manifest=manifest,
                )
            elif variant.obstacle is not None:
                yield Outcome(
                    variant=variant.name, status=Status.UNSUPPORTED, reason=variant.obstacle
                )
            else:
                pending.append(variant)
        if pending:
            if checked is None:
                expect_writable(request.out)
                workspace.expect_writable()
                checked = dataset.without_bad_images(progress)
            build = NetworkBuild(
                plan,
                dataset=checked,
                shelf=shelf,
                workspace=workspace,
                now=now,
                progress=progress,
            )
            yield from build.run(pending)
