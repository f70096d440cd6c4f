"""Mean and deviation that inputs are brought to, by channel, of inputs scaled to 0..1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

Channels = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Standardization:
    """What is subtracted from each channel, and what it is divided by then."""

    mean: Channels
    std: Channels

    @property
    def words(self) -> str:
        """Both, for people."""
        return f"mean {_words(self.mean)} and deviation {_words(self.std)}"


#: What networks are trained on where nobody says otherwise.
IMAGENET = Standardization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def checked_mean(values: object) -> Channels:
    """Three means from numbers, or from words for them.

    Raises:
        ValueError: not three numbers, or one outside of 0 to 1.
    """
    channels = _three(values)
    if not all(0.0 <= value <= 1.0 for value in channels):
        message = f"expected numbers from 0 to 1, got {_words(channels)}; {_SCALE}"
        raise ValueError(message)
    return channels


def checked_std(values: object) -> Channels:
    """Three deviations from numbers, or from words for them.

    Raises:
        ValueError: not three numbers, or one that is not above 0 and at most 1.
    """
    channels = _three(values)
    if not all(0.0 < value <= 1.0 for value in channels):
        message = f"expected numbers above 0 and up to 1, got {_words(channels)}; {_SCALE}"
        raise ValueError(message)
    return channels


_SCALE = "they are those of inputs scaled to 0..1, so divide what is meant for 0..255 by 255"


def _three(values: object) -> Channels:
    try:
        channels = tuple(float(value) for value in values)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        channels = ()
    if len(channels) != len(IMAGENET.mean) or not all(math.isfinite(value) for value in channels):
        got = ",".join(map(str, values)) if isinstance(values, list | tuple) else values
        message = f"expected three numbers, one for each of R,G,B, got {got}"
        raise ValueError(message)
    return cast("Channels", channels)


def _words(channels: Channels) -> str:
    return ",".join(f"{value:g}" for value in channels)
