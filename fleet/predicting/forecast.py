"""What is expected of one device, and what it should measure next."""

from __future__ import annotations

import msgspec

from contract.interval import Interval
from fleet.choosing.decision import Ref


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """What to expect of one variant that was not measured here; intervals hold in 95 %.

    Figures are medians of what is expected, given that it runs.
    """

    #: Says so wherever a document ends up.
    predicted: bool = True
    ref: Ref
    p50_ms: float
    p50_interval_ms: Interval
    p95_ms: float
    p95_interval_ms: Interval
    peak_rss_bytes: int
    peak_rss_interval_bytes: Interval
    #: Chance (0 to 1) that it does not run at all.
    fails: float
    #: Chance (0 to 1) that nothing is better by the policy; what ties counts for each.
    among_best: float
    #: Chance (0 to 1) that it is, and that the present choice is not: that measuring it
    #: changes the decision.
    changes: float


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One device under one policy. Nothing in it is fit to be rolled out: it is to be measured."""

    site: str
    device: str
    policy: str
    measured: int
    #: Variants and thread counts that the device could measure, those measured among them.
    possible: int
    #: Devices that this was learnt from, and those of them with the same processor.
    teachers: int
    kin: int
    #: Why nothing is predicted; None where something is.
    obstacle: str | None = None
    #: Best of what is measured, by the policy; None where nothing is.
    present: Ref | None = None
    #: Chance (0 to 1) that something unmeasured is better than `present`.
    change: float | None = None
    #: What to measure next, the likeliest to change the decision first; empty where that is
    #: not worth it.
    next: tuple[Ref, ...] = ()
    #: Likeliest among the best first.
    predictions: tuple[Prediction, ...] = ()
    #: What it could measure and nobody like it has.
    unknown: tuple[Ref, ...] = ()
