"""The page that people look at."""

# ruff: noqa: RUF001 - the multiplication sign is meant
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

from builder.measuring.timing import HostTiming
from builder.report.document import Report
from builder.report.page import render
from builder.studies.store import Studies

Make = Callable[..., Report]

_VOID = {"meta", "br", "hr", "img", "input", "link"}


class _Page(HTMLParser):
    """Checks that every element is closed, and gathers attributes and text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _read(report: Report) -> _Page:
    page = _Page()
    page.feed(render(report))
    page.close()
    assert page.open == []
    return page


@pytest.mark.parametrize("is_timed", [True, False])
def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(
    make: Make, *, is_timed: bool
) -> None:
    report = make(is_timed=is_timed)

    page = _read(report)

    assert not [a for a in page.attributes if a[1] in {"src", "href", "srcset", "action"}]
    assert not re.search(r"https?:|url\(|@import", render(report))


def test_every_drawing_is_xml_with_a_name_for_who_cannot_see_it(make: Make) -> None:
    drawings = re.findall(r"<svg.*?</svg>", render(make()), flags=re.DOTALL)

    charts = [ET.fromstring(drawing) for drawing in drawings if 'class="drawing"' in drawing]  # noqa: S314 - our own
    assert len(charts) == 7
    assert all(chart.get("aria-label") for chart in charts)


def test_every_variant_stands_in_the_table_and_on_the_main_chart_with_its_verdict(
    make: Make,
) -> None:
    report = make()

    page = _read(report)

    for judgement in report.judgements:
        tags = [a[0] for a in page.attributes if a[1:] == ("data-variant", judgement.variant)]
        assert {"tr", "g"} <= set(tags)
        assert judgement.words in page.text
    assert report.ladders[0].steps[0].words in page.text


def test_saved_work_without_saved_time_is_called_out(make: Make) -> None:
    html = render(make())

    assert "They save work, and no time here:" in html
    assert html.count('class="call"') == 1
    assert re.search(r"<b>resnet18-p10</b>: saves 9 % of the MACs of resnet18-base and no", html)


def test_what_is_beyond_the_scale_of_savings_is_named_with_its_figure(
    make: Make, timing: Callable[..., HostTiming]
) -> None:
    page = render(make(timings={"resnet18-bf16": timing("resnet18-bf16", p50_ms=120.0)}))

    assert "<b>resnet18-bf16</b> takes 6.00× as long." in page
    assert "At the lower edge" not in render(make())


def test_without_timings_the_page_says_that_work_stands_in(make: Make) -> None:
    text = " ".join(_read(make(is_timed=False)).text)

    assert "Nothing was timed on this host" in text
    assert "p50 ms" not in text
    assert "Work saved is not time saved" not in text


def test_sections_without_content_are_left_out(make: Make) -> None:
    report = make("resnet18-base", "resnet18-sq8")
    bare = Report(
        **{**{f: getattr(report, f) for f in Report.__struct_fields__}, "studies": Studies()}
    )

    text = " ".join(_read(bare).text)

    assert "What each layer can spare" not in text
    assert "What INT8 does" not in text
    assert "Accuracy against depth" not in text
    assert "All variants" in text


def test_names_from_outside_cannot_bring_markup(make: Make) -> None:
    html = render(make(name="<script>alert(1)</script>"))

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_the_headline_names_the_fastest_that_keeps_the_accuracy(make: Make) -> None:
    def headline(report: Report) -> str:
        found = re.search(r"<h1>(.*?)</h1>", render(report))
        assert found is not None
        return found[1]

    assert headline(make()) == (
        "resnet34-p30-sq8 is 1.94× as fast as resnet18-base, and on 1,000 images the 0.2 points "
        "that it lost may be chance"
    )
    assert headline(make("resnet18-base", "resnet34-sq8")) == (
        "resnet34-sq8 is 1.32× as fast as resnet18-base, and is 0.4 points more accurate"
    )
    assert headline(make("resnet18-base", "resnet34-p30", "resnet34-p30-sq8", is_timed=False)) == (
        "Nothing here is faster than resnet18-base without losing accuracy"
    )
    assert headline(make("resnet18-base", "resnet18-p10", is_timed=False)) == (
        "resnet18-p10 does 1/1.1 of the work of resnet18-base, and on 1,000 images the 0.3 points "
        "that it lost may be chance"
    )
    assert headline(make("resnet18-base", "resnet18-p50")) == (
        "Nothing here is faster than resnet18-base without losing accuracy"
    )
