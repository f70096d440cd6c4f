"""Choosing for many devices at once gives each what choosing for it alone gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.benchmark import Golden, RunStatus
from contract.interval import Interval
from fleet.choosing.decision import Evidence, Incumbent, Outcome, Ref
from fleet.choosing.demand import judged
from fleet.choosing.many import Pick, _distinct, decide_many
from fleet.choosing.policy import parse_policy
from fleet.choosing.selection import decide
from fleet.choosing.terms import Terms
from support.measurements import make_run
from support.packed import Catalogue, Measured, candidates_of

#: Runs are received at 1, 2, 3, ... seconds: the first two are over three days old by now.
NOW = 3 * 86_400.0 + 2
_ASKED = (
    "",
    "min_samples = 100",
    "max_age_days = 3",
    "min_processes = 2\nmax_interval = 0.05",
    "min_accuracy_images = 51\nmax_age_days = 4",
)
_POLICIES = (
    (["p95_ms <= 50", "peak_rss_mb <= 400"], ["max top1", "min p95_ms"]),
    (["p95_ms <= 150"], ["max top1", "min p95_ms"]),
    (["top1_drop <= 0.01"], ["min p95_ms", "max top1"]),
    ([], ["min energy_mj", "max top3", "min size_mb"]),
    (["top1_drop <= 0", "p50_ms <= 0", "top1 >= 0.9"], ["min p50_ms", "min peak_rss_mb"]),
    (["energy_mj <= 300", "first_ms <= 40"], ["min load_ms", "min first_ms", "min top1_drop"]),
)


def terms_of(constraints: Sequence[str], objectives: Sequence[str], asked: str = "") -> Terms:
    text = f'name = "t"\nconstraints = {list(constraints)}\nobjectives = {list(objectives)}\n'
    text = text.replace("'", '"') + f"[evidence]\n{asked}\n"
    return parse_policy(text, source="t").terms_for("lab", "box", [])


@st.composite
def measured_runs(draw: st.DrawFn) -> Measured:
    p50 = float(draw(st.integers(0, 40)))
    known = draw(st.sampled_from([True, True, True, False]))
    run = make_run(
        draw(st.sampled_from("abcd")),
        n=draw(st.sampled_from([500, 99])),
        processes=draw(st.sampled_from([2, 1, None])),
        threads=draw(st.integers(1, 2)),
        sha256=draw(st.sampled_from(["ab" * 32, "cd" * 32])),
        status=draw(st.sampled_from([RunStatus.OK] * 5 + [RunStatus.OOM])),
        golden=draw(
            st.sampled_from(
                [Golden(ok=True, max_error=0, tolerance=1)] * 5
                + [Golden(ok=False, max_error=2, tolerance=1), None]
            )
        ),
        p50_ms=p50,
        p95_ms=draw(st.sampled_from([p50 * 1.1, p50 * 1.1, 30.0, None])),
        ci_low_ms=p50 * 0.97 if known else None,
        ci_high_ms=p50 * 1.04 if known else None,
        load_ms=draw(st.sampled_from([None, 20.0, 20.3, 30.0])),
        first_ms=draw(st.sampled_from([None, 20.0, 20.3, 50.0])),
        energy_mj=draw(st.sampled_from([None, 250.0, 251.0, 350.0])),
        peak_rss_bytes=draw(st.sampled_from([None, 300_000_000, 303_000_000, 500_000_000])),
        bytes=draw(st.sampled_from([10_000_000, 20_000_000])),
        top1=draw(st.integers(85, 95)) / 100,
        top3=draw(st.integers(95, 99)) / 100,
        top1_drop=draw(st.sampled_from([None, 0.0, 0.005, 0.02])),
        accuracy_images=draw(st.sampled_from([0, 50, 50_000])),
    )
    interval = draw(st.sampled_from([None, None, Interval(p50, p50 * 1.3)]))
    return run, interval


@st.composite
def devices(draw: st.DrawFn) -> list[Measured]:
    return draw(
        st.lists(
            measured_runs(), max_size=6, unique_by=lambda one: (one[0].variant, one[0].threads)
        )
    )


def alone(runs: Sequence[Measured], terms: Terms, incumbent: Incumbent | None) -> Outcome:
    return decide(
        Evidence(
            site="lab",
            device="box",
            terms=terms,
            candidates=tuple(judged(one, terms.asked, now=NOW) for one in candidates_of(runs)),
            stale_runs=0,
            incumbent=incumbent,
        )
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(devices(), max_size=5),
    st.sampled_from(_POLICIES),
    st.sampled_from(_ASKED),
    st.data(),
)
def test_every_device_gets_what_it_would_get_alone(
    fleet: list[list[Measured]],
    policy: tuple[list[str], list[str]],
    asked: str,
    data: st.DataObject,
) -> None:
    terms = terms_of(*policy, asked)
    catalogue = Catalogue()
    entries = [catalogue.pack(runs) for runs in fleet]
    present = [data.draw(st.sampled_from([None, *(run for run, _ in runs)])) for runs in fleet]
    incumbents = [run and Incumbent(Ref(run.variant, run.threads), run.sha256) for run in present]
    together = decide_many(
        entries,
        [run and Pick("chosen", catalogue.number(run), run.threads) for run in present],
        catalogue.builds,
        terms,
        now=NOW,
    )
    expected = [
        alone(runs, terms, incumbent) for runs, incumbent in zip(fleet, incumbents, strict=True)
    ]
    assert [
        (
            one.status,
            one.build_id and Ref(catalogue.builds[one.build_id].variant, one.threads or 0),
        )
        for one in together
    ] == [(one.status, one.pick) for one in expected]


@settings(max_examples=10, deadline=None)
@given(st.lists(devices(), min_size=1, max_size=3), st.sampled_from(_POLICIES))
def test_a_device_with_hundreds_of_variants_changes_nothing_for_the_others(
    fleet: list[list[Measured]], policy: tuple[list[str], list[str]]
) -> None:
    terms = terms_of(*policy)
    catalogue = Catalogue()
    wide: list[Measured] = [
        (make_run(f"v{number:03}", top1=0.5 + number / 1_000, p50_ms=10.0), None)
        for number in range(300)
    ]
    mixed = [fleet[0], wide, *fleet[1:]]
    entries = [catalogue.pack(runs) for runs in mixed]
    together = decide_many(entries, [None] * len(mixed), catalogue.builds, terms, now=NOW)
    for runs, pick in zip(mixed, together, strict=True):
        expected = alone(runs, terms, None)
        variant = pick.build_id and Ref(catalogue.builds[pick.build_id].variant, pick.threads or 0)
        assert (pick.status, variant) == (expected.status, expected.pick)


def test_pairs_are_told_apart_by_counting_and_by_sorting_alike() -> None:
    numbers = np.array([[7, 3], [3, 999_999]], dtype=np.int64)
    for below in (1_000_000, 10_000_000):
        found, places = _distinct(numbers, below=below)
        assert found == [3, 7, 999_999]
        assert [[found[place] for place in row] for row in places.tolist()] == numbers.tolist()


def test_no_devices_and_devices_without_runs_are_no_error() -> None:
    terms = terms_of(*_POLICIES[0])
    assert decide_many([], [], {}, terms, now=NOW) == []
    assert [one.status for one in decide_many([b"", b""], [None, None], {}, terms, now=NOW)] == [
        "no-data",
        "no-data",
    ]
