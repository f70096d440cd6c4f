"""What can be chosen about pruning, without torch: recipes are read before it is imported."""

from __future__ import annotations

import enum
import sys
from dataclasses import dataclass

#: More convolutions than any network has.
ALL = sys.maxsize


class Importance(enum.StrEnum):
    """How filters are ranked; the least important go first."""

    #: Li et al., "Pruning Filters for Efficient ConvNets" (2017, there L1).
    L2 = "l2-norm"
    #: Liu et al., "Learning Efficient Convolutional Networks through Network Slimming" (2017).
    BATCHNORM = "batchnorm-scale"
    #: Molchanov et al., "Importance Estimation for Neural Network Pruning" (2019).
    TAYLOR = "taylor"


class Allotment(enum.StrEnum):
    """How the filters to remove are divided among the groups."""

    UNIFORM = "uniform"
    SENSITIVITY = "sensitivity"


@dataclass(frozen=True, kw_only=True)
class Method:
    """Which layers lose filters, which filters, and how many."""

    #: How many convolutions are chosen, counted from the output; None for the deepest half.
    deepest: int | None = None
    #: Whether Linears that others read lose features too.
    linears: bool = False
    importance: Importance = Importance.L2
    allotment: Allotment = Allotment.UNIFORM
    #: What the channels left in a layer are a multiple of.
    round_to: int = 1
    #: Whether the layers that read what goes are made to do without it, by least squares.
    compensate: bool = False

    @property
    def reads_images(self) -> bool:
        """Whether surgery needs to see what the network does with images."""
        return self.compensate or self.importance is Importance.TAYLOR
