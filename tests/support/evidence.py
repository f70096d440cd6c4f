"""Evidence of all kinds, for laws that have to hold whatever was measured.

A candidate has some twenty figures. Each draw costs, so one number holds them all: its digits
say which of a few values each has, and smaller numbers are plainer candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
from hypothesis import strategies as st

from contract.benchmark import RunStatus
from contract.interval import Interval
from fleet.choosing.candidate import Candidate, Provenance
from fleet.choosing.decision import Evidence, Incumbent, ref_of
from fleet.choosing.policy import parse_policy
from fleet.choosing.terms import Terms

_Value = TypeVar("_Value")

_CONSTRAINTS = (
    "p50_ms <= {0}",
    "p95_ms <= {0}",
    "first_ms <= {0}",
    "energy_mj <= {0}",
    "peak_rss_mb <= 40{0}",
    "size_mb <= {0}",
    "top1 >= 0.9",
    "top1_drop <= 0.0{0}",
)
_OBJECTIVES = ("max top1", "min p95_ms", "min p50_ms", "min energy_mj", "min size_mb", "max top3")
_DEMANDS = (
    "min_samples = {0}0",
    "min_processes = 2",
    "max_age_days = 90",
    "max_interval = 0.{0}",
    "min_accuracy_images = 20{0}",
)
_LATENCIES = (5.0, 3.0, 3.02, 8.0, 8.5, 20.0, 0.0, 5e-324, 1e308, None)
_BYTES = 10
_NUMBERS = st.binary(min_size=_BYTES, max_size=_BYTES)


class _Digits:
    """A number taken apart by as many possibilities as each figure has."""

    def __init__(self, number: bytes) -> None:
        self._number = int.from_bytes(number)

    def one_of(self, values: Sequence[_Value]) -> _Value:
        self._number, digit = divmod(self._number, len(values))
        return values[digit]

    def some_of(self, values: Sequence[_Value]) -> list[_Value]:
        return [value for value in values if self.one_of((False, False, True))]


@st.composite
def candidates(draw: st.DrawFn, variant: str = "net", threads: int = 1) -> Candidate:
    """One candidate with few different figures, so that many tie; anything may be missing."""
    digits = _Digits(draw(_NUMBERS))
    p50 = digits.one_of(_LATENCIES)
    spread = digits.one_of((0.01, 0.2, 0.0, None))
    return Candidate(
        variant=variant,
        threads=threads,
        sha256=digits.one_of(("ab" * 32, "cd" * 32)),
        run_id=f"run-{variant}-{threads}",
        status=digits.one_of([RunStatus.OK] * 6 + [RunStatus.OOM]),
        golden_ok=digits.one_of([True] * 6 + [False, None]),
        architecture="net",
        scheme=digits.one_of(("fp32", "static-int8")),
        input_size=224,
        baseline="net",
        n=digits.one_of((500, 30, 1, 0)),
        p50_ms=p50,
        p95_ms=digits.one_of(_LATENCIES),
        ci_low_ms=None if p50 is None or spread is None else p50 * (1 - spread),
        ci_high_ms=None if p50 is None or spread is None else p50 * (1 + spread),
        p95_interval_ms=digits.one_of((None, None, Interval(3.0, 9.0))),
        first_ms=digits.one_of(_LATENCIES),
        energy_mj=digits.one_of((None, 4.0, 4.05, 9.0, 0.0, -1.0)),
        peak_rss_bytes=digits.one_of([390_000_000, 404_500_000] * 3 + [None]),
        bytes=digits.one_of((3_000_000, 12_345_678)),
        macs=digits.one_of((10_000_000, 37_000_000)),
        top1=digits.one_of((0.98, 0.9, 0.905, 1.0, 0.0)),
        top3=digits.one_of((0.95, 1.0)),
        top1_drop=digits.one_of((0.0, 0.0123, 0.09, -0.01, None)),
        accuracy_images=digits.one_of((50_000, 360, 50, 0)),
        provenance=digits.one_of(
            (
                None,
                Provenance(
                    received_at=digits.one_of((1.7e9, 0.0, 1e300)),
                    is_expired=digits.one_of((False, True)),
                    processes=digits.one_of((2, 1, 0, None)),
                ),
            )
        ),
    )


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Terms of a policy with any limits, objectives and demands."""
    digits = _Digits(draw(_NUMBERS))

    def written(values: Sequence[str]) -> list[str]:
        return [one.format(digits.one_of(range(1, 10))) for one in values]

    limits = written(digits.some_of(_CONSTRAINTS))
    objectives = digits.some_of(_OBJECTIVES) or [digits.one_of(_OBJECTIVES)]
    if digits.one_of((False, True)):
        objectives.reverse()
    asked = written(digits.some_of(_DEMANDS)) if digits.one_of((False, True)) else []
    lists = [msgspec.json.encode(one).decode() for one in (limits, objectives)]
    text = f'name = "law"\nconstraints = {lists[0]}\nobjectives = {lists[1]}\n[evidence]\n'
    return parse_policy(text + "\n".join(asked), source="law").terms_for("lab", "box", [])


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Evidence of up to seven candidates, one of which may be the present choice."""
    threads = draw(st.lists(st.integers(1, 2), max_size=7))
    found = tuple(draw(candidates("abcdefg"[number], each)) for number, each in enumerate(threads))
    present = draw(st.none() | st.sampled_from(found)) if found else None
    return Evidence(
        site="lab",
        device="box",
        terms=draw(terms()),
        candidates=found,
        stale_runs=len(found) // 3,
        incumbent=None if present is None else Incumbent(ref_of(present), present.sha256),
    )
