"""The difference of two accuracies, and how sure it is."""

from __future__ import annotations

import msgspec

from contract.interval import paired_gap, share_gap, unpack_hits
from contract.manifest import Accuracy


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """One top-1 less another, with its 95 % interval."""

    difference: float
    low: float
    high: float
    #: Whether the two were held against each other image by image.
    is_paired: bool

    @property
    def may_be_chance(self) -> bool:
        """Whether the interval holds no difference at all."""
        return self.low <= 0 <= self.high


def accuracy_gap(one: Accuracy, other: Accuracy) -> Gap:
    """Top-1 of `one` less that of `other`; image by image where both say which were right."""
    difference = one.top1 - other.top1
    same_images = (one.images, one.dataset) == (other.images, other.dataset)
    if same_images and one.hits is not None and other.hits is not None:
        try:
            mine = unpack_hits(one.hits, one.images)
            pairs = paired_gap(mine, unpack_hits(other.hits, other.images))
            return Gap(difference=difference, low=pairs.low, high=pairs.high, is_paired=True)
        except ValueError:
            # What cannot be read is not there: the totals still tell something.
            pass
    totals = share_gap(one.top1, one.images, other.top1, other.images)
    return Gap(difference=difference, low=totals.low, high=totals.high, is_paired=False)
