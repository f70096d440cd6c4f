"""Looks at a network before it is cut: what its layers see, and what each can spare."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from torch import Tensor, nn

from builder.data.dataset import Dataset
from builder.data.images import batch_size, read_pixels, to_input
from builder.networks.complexity import count_work
from builder.planning import NetworkPlan
from builder.progress import Progress, tracked
from builder.pruning.channels import Channels
from builder.pruning.sensitivity import RATIOS, measure_sensitivity
from builder.studies.sensitivity import Sensitivity
from builder.studies.store import StudyStore
from builder.workspace import Workspace


@dataclasses.dataclass(frozen=True)
class _Effort:
    """How many images to look at: as many as the work allows, within bounds."""

    macs: float
    fewest: int
    most: int

    def images(self, macs_per_image: float) -> int:
        return int(min(self.most, max(self.fewest, self.macs / macs_per_image)))


#: Each at most about a minute on one core of 2023, until the fewest images take longer.
_SENSITIVITY = _Effort(3e12, 8, 128)
_SURGERY = _Effort(3e12, 64, 512)


class Scout:
    """Finds out about one network on some of the images that it will be tuned on."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        """Look at `plan`'s network with images of `dataset`, and remember in `workspace`."""
        self._plan = plan
        self._paths = [sample.path for sample in dataset.train]
        self._studies = StudyStore(workspace.studies)
        self._progress = progress
        self._name = plan.architecture.name

    def surgery_inputs(self, network: nn.Module) -> list[Tensor]:
        """Batches for what surgery has to see, float32 [N, 3, H, W]."""
        return self._inputs(network, _SURGERY)

    def sensitivity_of_whole(self, channels: Channels) -> Sensitivity:
        """What each group of the network as it came can spare; measured once and kept.

        Raises:
            OSError: an image has gone, or the workspace cannot be written.
        """
        # One file for all inputs, so that the report does not show what no longer holds.
        name = f"{self._name}-{self._plan.method.importance}-{len(channels.groups)}"
        kept = self._studies.sensitivity(name)
        if kept is not None and kept.inputs_sha256 == self._plan.study_sha256:
            return kept
        measured = msgspec.structs.replace(
            self.sensitivity(channels), inputs_sha256=self._plan.study_sha256
        )
        self._studies.keep_sensitivity(name, measured)
        return measured

    def sensitivity(self, channels: Channels) -> Sensitivity:
        """What each group can spare now; measured.

        Raises:
            OSError: an image has gone.
        """
        size = self._plan.rule.input_size
        trials = len(channels.groups) * len(RATIOS) + 1
        return measure_sensitivity(
            channels,
            self._inputs(channels.network, _SENSITIVITY, trials),
            architecture=self._name,
            input_size=size,
            importance=self._plan.method.importance,
            progress=self._progress,
        )

    def _inputs(self, network: nn.Module, effort: _Effort, passes: int = 1) -> list[Tensor]:
        macs = count_work(network, self._plan.rule.input_size).total_macs
        images = effort.images(max(1, macs) * passes)
        noise = np.random.default_rng(self._plan.settings.seed)
        order = noise.permutation(len(self._paths))[:images]
        paths = [self._paths[place] for place in sorted(order.tolist())]
        return list(_batches(paths, self._plan, self._progress, f"{self._name}: reading images"))


def _batches(
    paths: Sequence[Path], plan: NetworkPlan, progress: Progress, activity: str
) -> Iterator[Tensor]:
    step = batch_size(plan.rule.input_size)
    chunks = [paths[start : start + step] for start in range(0, len(paths), step)]
    for chunk in tracked(chunks, progress, activity, len(chunks)):
        yield to_input(read_pixels(chunk, plan.rule), plan.rule)
