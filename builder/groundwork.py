"""What has to stand before the first variant is made, for a build and for a search alike."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder.bundles.shelf import Shelf
from builder.data.dataset import Dataset, open_dataset
from builder.evalset.keeper import EvalsetKeeper
from builder.network_build import NetworkBuild
from builder.outcome import Outcome, Status
from builder.planning import NetworkPlan, VariantPlan, plan_networks
from builder.progress import Progress
from builder.request import BuildRequest
from builder.workspace import Workspace
from contract.files import expect_writable

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Groundwork:
    """Images, plans, and where to put what is made of them."""

    #: Not yet searched for images that cannot be used.
    dataset: Dataset
    #: One for each network, that of the baseline first.
    plans: tuple[NetworkPlan, ...]
    shelf: Shelf
    #: Folder of the bundle set.
    out: Path
    workspace: Workspace
    evalset: EvalsetKeeper

    def expect_writable(self) -> None:
        """See that the set and its workspace can be written, before the first hour is spent.

        Raises:
            OSError: one of them cannot.
        """
        expect_writable(self.out)
        self.workspace.expect_writable()

    def network_build(
        self,
        plan: NetworkPlan,
        dataset: Dataset,
        *,
        now: Callable[[], datetime],
        progress: Progress,
    ) -> NetworkBuild:
        """Builder of `plan`'s variants, with those images of `dataset`."""
        return NetworkBuild(
            plan,
            dataset=dataset,
            shelf=self.shelf,
            workspace=self.workspace,
            now=now,
            progress=progress,
        )


def lay_groundwork(request: BuildRequest, *, search_path: Path, progress: Progress) -> Groundwork:
    """Open the images, plan the networks, and open the bundle set.

    Args:
        request: what to build.
        search_path: folder from which the user's own networks can be imported.
        progress: told of downloads and hashing.

    Raises:
        UsageError: the request as a whole cannot be meant.
        DownloadError: published weights cannot be fetched.
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
    return Groundwork(
        dataset=dataset,
        plans=tuple(plans),
        shelf=shelf,
        out=request.out,
        workspace=Workspace.beside(request.out),
        evalset=EvalsetKeeper(shelf, wanted=request.evalset, progress=progress),
    )


def settled(variant: VariantPlan, shelf: Shelf) -> Outcome | None:
    """How the variant ends without being made: it stands there already, or it cannot be had."""
    finished = shelf.finished(variant.name, variant.inputs_sha256)
    if finished is not None:
        member, manifest = finished
        return Outcome(
            variant=variant.name,
            status=Status.UNCHANGED,
            reason="built before from the same inputs",
            member=member,
            manifest=manifest,
        )
    if variant.obstacle is not None:
        return Outcome(variant=variant.name, status=Status.UNSUPPORTED, reason=variant.obstacle)
    return None
