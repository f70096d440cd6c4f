"""What counted images and timed runs can tell apart: confidence intervals, 95 % throughout."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence

import msgspec

#: Two-sided 95 % point of the normal distribution.
Z95 = 1.959963984540054
#: Chance that is left on either side of an interval.
_TAIL = 0.025
#: Halvings of an interval no longer than 2 down to what a double can tell apart.
_HALVINGS = 60


class Interval(msgspec.Struct, frozen=True):
    """A closed interval, in the unit of what it bounds."""

    low: float
    high: float


def wilson(share: float, n: int) -> Interval:
    """Score interval of a share that was counted on `n` images (Wilson 1927).

    With no image nothing is known: 0 to 1.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z2 = Z95 * Z95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def share_gap(higher: float, n_higher: int, lower: float, n_lower: int) -> Interval:
    """Interval of the difference `higher - lower` of two shares (Newcombe 1998, method 10).

    It treats the two as independent, for where only totals are known. Two variants counted
    on the same images are paired, which tells closer shares apart: see `paired_gap`. With e1
    and e2 errors they differ on at most e1 + e2 images, and in that worst case the paired
    variance is the independent one. So this interval is safe, and wider than pairs need.
    """
    first, second = wilson(higher, n_higher), wilson(lower, n_lower)
    gap = higher - lower
    return Interval(
        gap - math.hypot(higher - first.low, second.high - lower),
        gap + math.hypot(first.high - higher, lower - second.low),
    )


def paired_gap(first: Sequence[bool], second: Sequence[bool]) -> Interval:
    """Interval of the difference of two accuracies, `first - second`, on the same images.

    `first[n]` and `second[n]` say whether image `n` was right. See `discordant_gap`.

    Raises:
        ValueError: the two are of different lengths, hence not the same images.
    """
    pairs = list(zip(first, second, strict=True))
    return discordant_gap(
        sum(one and not other for one, other in pairs),
        sum(other and not one for one, other in pairs),
        len(pairs),
    )


def discordant_gap(only_first: int, only_second: int, images: int) -> Interval:
    """Interval of a difference of accuracies from the images that only one variant had right.

    Tango's score interval for paired shares: all differences that a score test at 5 % does
    not reject (Tango, Statistics in Medicine 17, 1998, p. 891). It holds its level where few
    images or none tell the two apart, unlike Wald's. With no image nothing is known: -1 to 1.
    """
    if images == 0:
        return Interval(-1.0, 1.0)
    gap = (only_first - only_second) / images

    def is_rejected(truth: float) -> bool:
        variance = _variance_of_gap(truth, only_first, only_second, images)
        return images * (gap - truth) ** 2 > Z95 * Z95 * variance

    ends = []
    for outside in (-1.0, 1.0):
        inside = gap
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            if is_rejected(middle):
                outside = middle  # noqa: PLW2901 - the bracket closes
            else:
                inside = middle
        ends.append(inside)
    return Interval(ends[0], ends[1])


def _variance_of_gap(truth: float, only_first: int, only_second: int, images: int) -> float:
    """Variance of one image's difference where the true difference is `truth`."""
    # The likeliest share of images that only the second has right, given the difference:
    # the positive root of a quadratic (Tango's equation 16).
    linear = (2 * images - only_first + only_second) * truth - only_first - only_second
    constant = -only_second * truth * (1 - truth)
    root = math.sqrt(max(0.0, linear * linear - 8 * images * constant))
    share = (root - linear) / (4 * images)
    return max(0.0, 2 * share + truth * (1 - truth))


def pack_hits(hits: Sequence[bool]) -> str:
    """Base64 of one bit for each image, in order, the highest bit of each byte first.

    The last byte is filled up with zeros.
    """
    filled = [*hits, *[False] * (-len(hits) % 8)]
    packed = bytes(
        sum(bit << (7 - place) for place, bit in enumerate(filled[start : start + 8]))
        for start in range(0, len(filled), 8)
    )
    return base64.b64encode(packed).decode("ascii")


def unpack_hits(packed: str, images: int) -> list[bool]:
    """Return the hits that `pack_hits` packed, one for each of `images`.

    Raises:
        ValueError: not base64, or not the bits of so many images.
    """
    try:
        content = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"hits: expected base64, got {packed[:40]!r}: {error}"
        raise ValueError(message) from error
    if len(content) != (images + 7) // 8:
        message = (
            f"hits: expected {(images + 7) // 8} bytes for {images} images, got {len(content)}"
        )
        raise ValueError(message)
    return [bool(content[n // 8] >> (7 - n % 8) & 1) for n in range(images)]


def median_interval(samples: Sequence[float]) -> Interval | None:
    """Distribution-free interval of the median, or None below six samples.

    The order statistics whose ranks a binomial (n, 1/2) leaves with at most 2.5 % on either
    side: David and Nagaraja, Order Statistics, section 7.1. It takes the samples as
    independent.
    """
    ordered = sorted(samples)
    n = len(ordered)
    log_half_n = n * math.log(0.5)
    below, tail = 0, 0.0
    while True:
        # By logarithms: there may be tens of thousands of samples.
        log_ways = math.lgamma(n + 1) - math.lgamma(below + 1) - math.lgamma(n - below + 1)
        tail += math.exp(log_ways + log_half_n)
        if tail > _TAIL:
            break
        below += 1
    return Interval(ordered[below - 1], ordered[n - below]) if below else None
