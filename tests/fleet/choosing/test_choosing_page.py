"""The page on choosing: its policies are in order, and its explanation is what comes out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleet.choosing.candidate import Candidate, Provenance
from fleet.choosing.decision import Evidence
from fleet.choosing.demand import Evidential
from fleet.choosing.metric import Metric
from fleet.choosing.policy import parse_policy, ready_policies
from fleet.choosing.policy_document import read_document
from fleet.choosing.selection import decide
from fleet.reports.report import report_explanation
from fleet.reports.telling import explanation_lines
from fleet.store.recommendation import Recommendation
from support.measurements import make_candidate

PAGE = (Path(__file__).parents[3] / "docs/choosing.md").read_text()


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return [content for name, content in found if name == language]


@pytest.mark.parametrize("text", blocks("toml"))
def test_every_policy_on_the_page_is_in_order(text: str) -> None:
    assert parse_policy(text, source="docs/choosing.md").name


def test_the_page_names_every_metric_demand_and_ready_policy() -> None:
    for name in (*Metric, *Evidential, *ready_policies()):
        assert name in PAGE


def test_the_mistakes_on_the_page_are_what_a_check_says() -> None:
    wrong = (
        'name = "ours"\nconstraints = ["p59_ms <= 150"]\nobjectives = ["max top1"]\n\n'
        '[site.plant-7]\nconstraints = ["p95_ms <= 100"]\n'
    )
    mistakes = read_document(wrong, source="ours.toml").mistakes
    assert blocks("text")[0] == "".join(f"{one}\n" for one in mistakes)


def candidate(variant: str, threads: int, p50_ms: float, **changes: object) -> Candidate:
    light = variant.startswith("resnet18")
    top1 = float(changes["top1"])  # type: ignore[arg-type]
    figures = {
        "architecture": "resnet18" if light else "resnet50",
        "macs": 1_800_000_000 if light else 4_100_000_000,
        "n": 400,
        "ci_low_ms": p50_ms * 0.96,
        "ci_high_ms": p50_ms * 1.04,
        "peak_rss_bytes": 380_000_000,
        "top1_drop": 0.872 - top1,
        "accuracy_images": 50_000,
    }
    come = Provenance(received_at=1.79e9, is_expired=False, processes=2)
    return make_candidate(variant, come, threads=threads, p50_ms=p50_ms, **(figures | changes))


def test_the_explanation_on_the_page_is_what_comes_out() -> None:
    text = (
        'name = "ours"\nconstraints = ["p95_ms <= 150", "peak_rss_mb <= 512", '
        '"top1_drop <= 0.02"]\nobjectives = ["max top1", "min p95_ms"]\n'
        "[evidence]\nmin_samples = 100\nmax_age_days = 90\n"
    )
    static, dynamic = {"scheme": "static-int8"}, {"scheme": "dynamic-int8"}
    evidence = Evidence(
        site="plant-7",
        device="press-03",
        terms=parse_policy(text, source="page").terms_for("plant-7", "press-03", []),
        candidates=(
            candidate("resnet50-base", 4, 238, top1=0.872),
            candidate("resnet50-sq8", 4, 147.6, top1=0.868, **static),
            candidate("resnet18-base", 4, 92, top1=0.861),
            candidate("resnet18-dq8", 4, 91, top1=0.861, peak_rss_bytes=395_000_000, **dynamic),
            candidate("resnet18-sq8", 4, 44, top1=0.856, **static),
            candidate("resnet18-base", 1, 300, top1=0.861, n=30),
            candidate("resnet18-sq8", 1, 120, top1=0.856, n=30, **static),
        ),
        stale_runs=0,
    )
    found = Recommendation(
        id=1, device_id=1, decided_at=0.0, evidence=evidence, outcome=decide(evidence)
    )
    lines = explanation_lines(found.name, report_explanation(found))
    assert blocks("text")[1].splitlines() == lines
