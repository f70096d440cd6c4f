"""What an optimisation is worth on this very box: quantization and pruning, by latency."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from contract.manifest import Scheme
from fleet.choosing.candidate import Candidate

#: Below this an optimisation is called not worth it here.
WORTHWHILE_SPEEDUP = 1.05
#: Quantization keeps the work the same; builders may count it slightly differently.
_SAME_WORK_SHARE = 0.01

_SCHEME_WORDS = {
    Scheme.DYNAMIC_INT8.value: "dynamic INT8",
    Scheme.STATIC_INT8.value: "static INT8",
}


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """Median latency of `parent` over that of `variant`, same box, same thread count."""

    what: str
    variant: str
    parent: str
    threads: int
    ratio: float

    @property
    def pays(self) -> bool:
        """Whether it is at least 5 % faster."""
        return self.ratio >= WORTHWHILE_SPEEDUP


def worth_of_each(candidates: Sequence[Candidate]) -> list[Worth]:
    """Worth of every optimised candidate whose plain parent was measured beside it."""
    usable = [one for one in candidates if one.failure is None]
    found = (_worth(one, usable) for one in usable)
    return [worth for worth in found if worth is not None]


def best_of_each_kind(worths: Sequence[Worth]) -> list[Worth]:
    """For each kind of optimisation that pays the one that brings most, best first."""
    best: dict[str, Worth] = {}
    for worth in worths:
        if worth.pays and (worth.what not in best or worth.ratio > best[worth.what].ratio):
            best[worth.what] = worth
    return sorted(best.values(), key=lambda one: one.ratio, reverse=True)


def _worth(candidate: Candidate, usable: Sequence[Candidate]) -> Worth | None:
    plain = [
        other
        for other in usable
        if other.scheme == Scheme.FP32.value
        and (other.architecture, other.input_size, other.threads)
        == (candidate.architecture, candidate.input_size, candidate.threads)
    ]
    if candidate.scheme == Scheme.FP32.value:
        what = "pruning"
        heavier = [other for other in plain if other.macs > candidate.macs]
        parent = max(heavier, key=lambda other: other.macs, default=None)
    else:
        what = _SCHEME_WORDS.get(candidate.scheme, candidate.scheme)
        same_work = [
            other
            for other in plain
            if abs(other.macs - candidate.macs) <= _SAME_WORK_SHARE * candidate.macs
        ]
        parent = min(same_work, key=lambda other: abs(other.macs - candidate.macs), default=None)
    if parent is None or not parent.p50_ms or not candidate.p50_ms:
        return None
    return Worth(
        what=what,
        variant=candidate.variant,
        parent=parent.variant,
        threads=candidate.threads,
        ratio=parent.p50_ms / candidate.p50_ms,
    )
