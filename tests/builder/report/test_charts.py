"""The charts of a report."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable

import pytest

from builder.measuring.timing import HostTiming
from builder.report.charts import accuracy_chart, depth_chart, savings_chart
from builder.report.document import Report
from builder.report.verdicts import Cost

Make = Callable[..., Report]


def _marks(chart: str) -> dict[str, ET.Element]:
    root = ET.fromstring(chart)  # noqa: S314 - our own
    return {mark.get("data-variant", ""): mark for mark in root.iterfind("g[@data-variant]")}


def _labels(chart: str) -> set[str]:
    return set(re.findall(r'class="label \w+">([^<]*)<', chart))


@pytest.mark.parametrize("cost", list(Cost))
def test_all_variants_are_marked_and_those_on_the_front_and_the_bases_named(
    make: Make, cost: Cost
) -> None:
    report = make()

    chart = accuracy_chart(report, cost)

    assert sorted(_marks(chart)) == sorted(entry.variant for entry in report.entries)
    assert _labels(chart) == {*report.fronts[cost], "resnet18-base", "resnet34-base"}


def test_architectures_have_colours_and_schemes_have_shapes(make: Make) -> None:
    marks = _marks(accuracy_chart(make(), Cost.LATENCY))

    def look(variant: str) -> tuple[str, str]:
        shape = next(child.tag for child in marks[variant] if child.tag != "title")
        return re.findall(r"s\d", marks[variant].get("class", ""))[0], shape

    assert look("resnet18-base") == ("s0", "circle")
    assert look("resnet18-sq8") == ("s0", "rect")
    assert look("resnet34-sq8") == ("s1", "rect")
    assert look("resnet18-dq8") == ("s0", "polygon")
    assert look("resnet18-bf16") == ("s0", "polygon")


def test_the_front_rises_in_steps_from_the_axis_to_the_far_end(make: Make) -> None:
    chart = accuracy_chart(make(), Cost.LATENCY)

    found = re.search(r'<polyline points="([^"]*)" class="front"', chart)
    assert found is not None
    corners = [tuple(map(float, corner.split(","))) for corner in found[1].split()]
    assert len(corners) == 2 * 5 + 1
    for (x, y), (next_x, next_y) in itertools.pairwise(corners):
        assert (x == next_x) != (y == next_y)
        assert next_x >= x
        assert next_y <= y


def test_everything_stays_on_the_paper(make: Make) -> None:
    for chart in (accuracy_chart(make(), cost) for cost in Cost):
        root = ET.fromstring(chart)  # noqa: S314 - our own
        _, _, width, height = map(float, root.get("viewBox", "").split())
        xs = [float(e.get(n, "0")) for e in root.iter() for n in ("x", "x1", "x2", "cx")]
        ys = [float(e.get(n, "0")) for e in root.iter() for n in ("y", "y1", "y2", "cy")]
        assert 0 <= min(xs) <= max(xs) <= width
        assert 0 <= min(ys) <= max(ys) <= height


def test_pointing_at_a_mark_tells_its_figures_and_its_verdict(make: Make) -> None:
    title = _marks(accuracy_chart(make(), Cost.LATENCY))["resnet18-p10"].findtext("title") or ""

    assert title.startswith("resnet18-p10 (FP32): top-1 90.1 % (88.1 % to 91.8 %), 19.9 ms, 37.1")
    assert "saves 9 % of the MACs of resnet18-base and no measurable time" in title


def test_bases_save_nothing_and_stand_on_no_savings_chart(make: Make) -> None:
    chart = savings_chart(make())

    assert chart is not None
    assert {"resnet18-base", "resnet34-base"}.isdisjoint(_marks(chart))
    assert _labels(chart) == {"resnet18-p10", "resnet34-p30-sq8"}
    assert savings_chart(make("resnet18-base")) is None
    assert savings_chart(make(is_timed=False)) is None


def test_a_variant_many_times_slower_does_not_flatten_the_savings_chart(
    make: Make, timing: Callable[..., HostTiming]
) -> None:
    slow = timing("resnet18-bf16", p50_ms=120.0)

    chart = savings_chart(make(timings={"resnet18-bf16": slow})) or ""

    assert "\N{MINUS SIGN}200 %" not in chart
    assert "\N{MINUS SIGN}100 %" in chart
    title = _marks(chart)["resnet18-bf16"].findtext("title") or ""
    assert "120 ms" in title


def test_depth_goes_from_left_to_right(make: Make) -> None:
    report = make()

    marks = _marks(depth_chart(report, report.ladders[0]))

    def across(variant: str) -> float:
        circle = marks[variant].find("circle")
        assert circle is not None
        return float(circle.get("cx", "0"))

    assert across("resnet18-base") < across("resnet18-p10") < across("resnet34-base")
