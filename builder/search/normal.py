"""A prediction: the normal distribution of what is not measured yet."""

from __future__ import annotations

import math
from dataclasses import dataclass

#: Two-sided 95 % point.
_Z95 = 1.959963984540054
_SQRT_2 = math.sqrt(2)
_SQRT_2_PI = math.sqrt(2 * math.pi)


@dataclass(frozen=True)
class Normal:
    """A normal distribution; `sd` is above 0."""

    mean: float
    sd: float

    @property
    def interval(self) -> tuple[float, float]:
        """Where the value lies with 95 %."""
        return self.mean - _Z95 * self.sd, self.mean + _Z95 * self.sd

    def below(self, value: float) -> float:
        """Probability that it is at most `value`."""
        return 0.5 * math.erfc((self.mean - value) / self.sd / _SQRT_2)

    def shortfall(self, value: float) -> float:
        """Expectation of how far it stays below `value`, 0 where it does not.

        It is the expected improvement of a quantity that should be small (Jones, Schonlau and
        Welch, Journal of Global Optimization 13, 1998, equation 15), and the integral of
        `below` up to `value`.
        """
        z = (value - self.mean) / self.sd
        density = math.exp(-0.5 * z * z) / _SQRT_2_PI
        # For values far below, the two terms cancel out to rounding errors.
        return max(0.0, (value - self.mean) * self.below(value) + self.sd * density)
