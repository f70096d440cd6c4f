"""How long a variant that was never run would take on this host."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from builder.search.normal import Normal
from builder.search.workload import Arithmetic, Effort, Workload
from contract.manifest import Scheme

Vector = NDArray[np.float64]

#: Before anything is measured: nanoseconds of each feature on some core, in `Effort` order.
#: Only their proportions matter, and each is believed to within a factor of about two: 50
#: multiplications a nanosecond, 10 bytes a nanosecond from memory, 5 microseconds to start a
#: kernel, and depthwise filters at a quarter of the others' speed (they wait for memory).
_GUESS_NS = (0.02, 0.02, 0.08, 0.02, 0.1, 0.1, 5000.0)
_GUESS_RELATIVE_SD = 1.0
#: Nothing is for free, whatever contradictory timings say: least share of a guessed cost.
_LEAST_FACTOR = 0.02
#: Spread of measurements around the best fit that is expected before residuals tell, and how
#: many residuals that expectation is worth.
_PRIOR_SPREAD = 0.05
_PRIOR_RESIDUALS = 3.0
#: What is unknown about an arithmetic that was not timed yet, as a deviation of the logarithm:
#: INT8 may well be four times as fast as floats, or slower.
_UNTIMED_SD = 0.7
_NS_PER_MS = 1e6


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One variant that was timed on this host."""

    architecture: str
    scheme: Scheme
    workload: Workload
    p50_ms: float


@dataclass(frozen=True, kw_only=True)
class LatencyModel:
    """Time as a sum of work times cost, with costs of each arithmetic fitted on this host."""

    #: Milliseconds of one unit of each feature; none is negative.
    costs_ms: Vector
    #: The costs that were believed before, at the speed that was measured.
    guess_ms: Vector
    #: Covariance of the costs' factors against the guess, in units of the squared spread.
    covariance: Vector
    #: Deviation of timings from the fit, as a share.
    spread: float
    #: What timings of a network and scheme had in common beyond the sum, as a logarithm.
    biases: dict[tuple[str, Scheme], float]
    timed: frozenset[Arithmetic]

    @classmethod
    def fit(cls, timings: Sequence[Timing]) -> LatencyModel:
        """Fit the costs by non-negative least squares of relative errors.

        Ridge rows pull each cost towards a guess that is scaled to what was measured, so one
        timing gives proportionality and more of them bend it (Lawson and Hanson, Solving
        Least Squares Problems, 1974, chapter 23). Since no cost is negative, more work never
        comes out as less time.

        Args:
            timings: measured variants; with none, the times are a guess in the right order.
        """
        guess = _scaled_guess(timings)
        ridge = _PRIOR_SPREAD / _GUESS_RELATIVE_SD
        measured = np.array([t.p50_ms for t in timings])
        # Share of the measured time that each feature would take at the guessed cost.
        shares = _matrix([t.workload for t in timings]) * guess / measured[:, None]
        identity = np.eye(len(guess))
        factors, _ = nnls(
            np.vstack([shares, ridge * identity]),
            np.concatenate([np.ones(len(timings)), np.full(len(guess), ridge)]),
        )
        factors = np.maximum(factors, _LEAST_FACTOR)
        logs = np.log(np.maximum(shares @ factors, np.finfo(float).tiny))
        biases = _biases(timings, -logs)
        residuals = [
            -log - biases[timing.architecture, timing.scheme]
            for timing, log in zip(timings, logs, strict=True)
        ]
        squares = _PRIOR_RESIDUALS * _PRIOR_SPREAD**2 + sum(r * r for r in residuals)
        return cls(
            costs_ms=factors * guess,
            guess_ms=guess,
            covariance=np.linalg.inv(shares.T @ shares + ridge**2 * identity),
            spread=math.sqrt(squares / (_PRIOR_RESIDUALS + len(residuals))),
            biases=biases,
            timed=_timed(timings),
        )

    def predict(self, architecture: str, scheme: Scheme, workload: Workload) -> Normal:
        """Natural logarithm of the p50 in milliseconds."""
        features = np.array(workload.features())
        total = max(float(features @ self.costs_ms), np.finfo(float).tiny)
        # How the logarithm moves with each factor.
        shares = features * self.guess_ms / total
        variance = self.spread**2 * (1.0 + float(shares @ self.covariance @ shares))
        if _main_arithmetic(workload) not in self.timed:
            variance += _UNTIMED_SD**2
        bias = self.biases.get((architecture, scheme), 0.0)
        return Normal(math.log(total) + bias, math.sqrt(variance))


def _matrix(workloads: Sequence[Workload]) -> Vector:
    width = len(Arithmetic) * len(_GUESS_NS)
    rows = [workload.features() for workload in workloads]
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def _guess_ms(effort: Effort) -> float:
    return sum(x * ns for x, ns in zip(effort.features(), _GUESS_NS, strict=True)) / _NS_PER_MS


def _main_arithmetic(workload: Workload) -> Arithmetic:
    efforts = workload.efforts
    return max(efforts, key=lambda key: _guess_ms(efforts[key]), default=Arithmetic.FP32)


def _timed(timings: Iterable[Timing]) -> frozenset[Arithmetic]:
    return frozenset(_main_arithmetic(timing.workload) for timing in timings)


def _scaled_guess(timings: Sequence[Timing]) -> Vector:
    """Guessed costs in milliseconds, each arithmetic at the speed that its timings show."""
    ratios: dict[Arithmetic, list[float]] = {}
    for timing in timings:
        guessed = sum(_guess_ms(effort) for effort in timing.workload.efforts.values())
        log = math.log(timing.p50_ms / max(guessed, np.finfo(float).tiny))
        ratios.setdefault(_main_arithmetic(timing.workload), []).append(log)
    everything = [log for logs in ratios.values() for log in logs] or [0.0]
    scales = [math.exp(float(np.mean(ratios.get(key, everything)))) for key in Arithmetic]
    return np.concatenate([scale * np.array(_GUESS_NS) / _NS_PER_MS for scale in scales])


def _biases(timings: Sequence[Timing], logs: Vector) -> dict[tuple[str, Scheme], float]:
    """Mean residual of each network and scheme, drawn towards 0 where there are few."""
    groups: dict[tuple[str, Scheme], list[float]] = {}
    for timing, log in zip(timings, logs, strict=True):
        groups.setdefault((timing.architecture, timing.scheme), []).append(float(log))
    return {key: sum(group) / (len(group) + 1) for key, group in groups.items()}
