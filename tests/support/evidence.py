"""Evidence of all kinds, for laws that have to hold whatever was measured."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from contract.benchmark import RunStatus
from contract.interval import Interval
from fleet.choosing.candidate import Candidate, Provenance
from fleet.choosing.decision import Evidence, Incumbent, ref_of
from fleet.choosing.policy import parse_policy
from fleet.choosing.terms import Terms

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


def _maybe(values: st.SearchStrategy[float]) -> st.SearchStrategy[float | None]:
    return st.none() | values


@st.composite
def candidates(draw: st.DrawFn, variant: str = "net", threads: int = 1) -> Candidate:
    """One candidate with few different figures, so that many tie; anything may be missing."""
    latency = _maybe(st.sampled_from([0.0, 3.0, 3.02, 5.0, 8.0, 8.5, 20.0]))
    p50 = draw(latency)
    spread = draw(_maybe(st.sampled_from([0.0, 0.01, 0.2])))
    return Candidate(
        variant=variant,
        threads=threads,
        sha256=draw(st.sampled_from(["ab" * 32, "cd" * 32])),
        run_id=f"run-{variant}-{threads}",
        status=draw(st.sampled_from([RunStatus.OK] * 5 + [RunStatus.OOM])),
        golden_ok=draw(st.sampled_from([True] * 5 + [False, None])),
        architecture="net",
        scheme=draw(st.sampled_from(["fp32", "static-int8"])),
        input_size=224,
        baseline="net",
        n=draw(st.sampled_from([0, 1, 30, 500])),
        p50_ms=p50,
        p95_ms=draw(latency),
        ci_low_ms=None if p50 is None or spread is None else p50 * (1 - spread),
        ci_high_ms=None if p50 is None or spread is None else p50 * (1 + spread),
        p95_interval_ms=draw(st.none() | st.just(Interval(3.0, 9.0))),
        first_ms=draw(latency),
        energy_mj=draw(_maybe(st.sampled_from([0.0, 4.0, 4.05, 9.0]))),
        peak_rss_bytes=draw(st.none() | st.sampled_from([390_000_000, 404_500_000])),
        bytes=draw(st.sampled_from([3_000_000, 12_345_678])),
        macs=draw(st.sampled_from([10_000_000, 37_000_000])),
        top1=draw(st.sampled_from([0.0, 0.9, 0.905, 0.98, 1.0])),
        top3=draw(st.sampled_from([0.95, 1.0])),
        top1_drop=draw(_maybe(st.sampled_from([-0.01, 0.0, 0.0123, 0.09]))),
        accuracy_images=draw(st.sampled_from([0, 50, 360, 50_000])),
        provenance=draw(
            st.just(msgspec.UNSET)
            | st.builds(
                Provenance,
                received_at=st.sampled_from([0.0, 1.7e9, 1e300]),
                is_expired=st.booleans(),
                processes=st.none() | st.integers(0, 3),
            )
        ),
    )


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    """Terms of a policy with any limits, objectives and demands."""

    def some(choices: tuple[str, ...], least: int) -> list[str]:
        chosen = draw(st.lists(st.sampled_from(choices), unique=True, min_size=least, max_size=4))
        return [one.format(draw(st.integers(1, 9))) for one in chosen]

    quoted = [
        "[" + ", ".join(f'"{one}"' for one in some(choices, least)) + "]"
        for choices, least in ((_CONSTRAINTS, 0), (_OBJECTIVES, 1))
    ]
    text = f'name = "law"\nconstraints = {quoted[0]}\nobjectives = {quoted[1]}\n[evidence]\n'
    text += "\n".join(some(_DEMANDS, 0) if draw(st.booleans()) else [])
    return parse_policy(text, source="law").terms_for("lab", "box", [])


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    """Evidence of up to eight candidates, one of which may be the present choice."""
    names = draw(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 2)), unique=True, max_size=8)
    )
    found = tuple(draw(candidates(name, threads)) for name, threads in names)
    present = draw(st.none() | st.sampled_from(found)) if found else None
    return Evidence(
        site="lab",
        device="box",
        terms=draw(terms()),
        candidates=found,
        stale_runs=draw(st.integers(0, 2)),
        incumbent=None if present is None else Incumbent(ref_of(present), present.sha256),
    )
