"""A scatter chart: marks with error bars, labels that keep clear, and one line through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from builder.report.labels import Box, Label, place_labels, upright_line
from builder.report.scales import Scale
from builder.report.svg import drawing, element, text_of
from contract.manifest import Scheme

_RADIUS = 5.5
_LABEL_SIZE = 12.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, 16.0, 34.0, 46.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One variant on a chart."""

    variant: str
    x: float
    y: float
    #: Ends of the error bars.
    x_ends: tuple[float, float] | None = None
    y_ends: tuple[float, float] | None = None
    #: Number of its colour.
    series: int
    shape: Scheme
    tooltip: str
    is_labelled: bool = False
    is_bright: bool = True
    is_called_out: bool = False


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One axis with its name and how its values are written."""

    scale: Scale
    title: str
    write: Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """A chart of `width` by `height`; `line` runs through values of both axes."""

    title: str
    width: float
    height: float
    x: Axis
    y: Axis
    marks: Sequence[Mark]
    line: Sequence[tuple[float, float]] = ()
    line_class: str = "front"

    def draw(self) -> str:
        """Return the chart as SVG."""
        return drawing(
            self.width,
            self.height,
            self.title,
            *self._axes(),
            *self._line(),
            *(self._bars(mark) for mark in self.marks),
            *(self._mark(mark) for mark in self._back_to_front()),
            *(_label(label) for label in self._labels()),
        )

    def _px(self, x: float) -> float:
        return _LEFT + self.x.scale.at(x) * (self.width - _LEFT - _RIGHT)

    def _py(self, y: float) -> float:
        return self.height - _BOTTOM - self.y.scale.at(y) * (self.height - _TOP - _BOTTOM)

    def _axes(self) -> list[str]:
        right, bottom = self.width - _RIGHT, self.height - _BOTTOM
        parts = []
        for tick in self.y.scale.ticks():
            y = self._py(tick)
            parts += [
                element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"),
                _text(self.y.write(tick), _LEFT - 8, y + 4, "tick end"),
            ]
        for tick in self.x.scale.ticks():
            x = self._px(tick)
            parts += [
                element("line", x1=x, x2=x, y1=_TOP, y2=bottom, class_="grid"),
                _text(self.x.write(tick), x, bottom + 17, "tick middle"),
            ]
        parts += [
            element("line", x1=_LEFT, x2=right, y1=bottom, y2=bottom, class_="axis"),
            _text(self.x.title, right, self.height - 7, "axis-title end"),
            _text(self.y.title, 0, 12, "axis-title"),
        ]
        return parts

    def _line(self) -> list[str]:
        if not self.line:
            return []
        corners = " ".join(f"{self._px(x):.1f},{self._py(y):.1f}" for x, y in self.line)
        return [element("polyline", points=corners, class_=self.line_class)]

    def _bars(self, mark: Mark) -> str:
        x, y = self._px(mark.x), self._py(mark.y)
        parts = []
        if mark.y_ends is not None:
            low, high = (self._py(_within(self.y.scale, end)) for end in mark.y_ends)
            parts.append(element("line", x1=x, x2=x, y1=low, y2=high))
        if mark.x_ends is not None:
            low, high = (self._px(_within(self.x.scale, end)) for end in mark.x_ends)
            parts.append(element("line", x1=low, x2=high, y1=y, y2=y))
        return element("g", *parts, class_=f"bar s{mark.series} {_light(mark)}") if parts else ""

    def _mark(self, mark: Mark) -> str:
        x, y = self._px(mark.x), self._py(mark.y)
        halo = (
            element("circle", cx=x, cy=y, r=_RADIUS + 5, class_="call")
            if (mark.is_called_out)
            else ""
        )
        return element(
            "g",
            element("title", text_of(mark.tooltip)),
            halo,
            shape(mark.shape, x, y, _RADIUS),
            class_=f"mark s{mark.series} {_light(mark)}",
            data_variant=mark.variant,
        )

    def _back_to_front(self) -> list[Mark]:
        return sorted(self.marks, key=lambda mark: (mark.is_bright, mark.is_labelled))

    def _labels(self) -> list[Label]:
        labelled = [mark for mark in self.marks if mark.is_labelled]
        return place_labels(
            [(mark.variant, self._px(mark.x), self._py(mark.y)) for mark in labelled],
            points=[(self._px(mark.x), self._py(mark.y)) for mark in self.marks],
            lines=[
                upright_line(start, end)
                for start, end in itertools.pairwise(
                    (self._px(x), self._py(y)) for x, y in self.line
                )
                if start[0] == end[0] or start[1] == end[1]
            ],
            frame=Box(_LEFT + 2, _TOP, self.width - _RIGHT, self.height - _BOTTOM - 2),
            size=_LABEL_SIZE,
        )


def shape(scheme: Scheme, x: float, y: float, radius: float) -> str:
    """Return a scheme's mark around a point: circle, square, diamond or triangle."""
    if scheme is Scheme.FP32:
        return element("circle", cx=x, cy=y, r=radius)
    if scheme is Scheme.STATIC_INT8:
        side = radius * 0.9
        return element("rect", x=x - side, y=y - side, width=2 * side, height=2 * side, rx=1.5)
    turns = (0.0, 0.25, 0.5, 0.75) if scheme is Scheme.DYNAMIC_INT8 else (0.0, 1 / 3, 2 / 3)
    reach = radius * 1.25
    corners = " ".join(
        f"{x + reach * math.sin(turn * math.tau):.1f},{y - reach * math.cos(turn * math.tau):.1f}"
        for turn in turns
    )
    return element("polygon", points=corners)


def _within(scale: Scale, value: float) -> float:
    """Keep the end of an error bar on the chart."""
    return min(max(value, scale.low), scale.high)


def _light(mark: Mark) -> str:
    return "bright" if mark.is_bright else "faint"


def _label(label: Label) -> str:
    box = label.box
    leader = ""
    if label.needs_leader:
        near_x = min(max(label.x, box.left), box.right)
        near_y = min(max(label.y, box.top), box.bottom)
        leader = element("line", x1=label.x, y1=label.y, x2=near_x, y2=near_y, class_="leader")
    middle = (box.top + box.bottom) / 2
    x = {"start": box.left, "end": box.right}.get(label.anchor, (box.left + box.right) / 2)
    return leader + _text(label.words, x, middle + 4, f"label {label.anchor}")


def _text(words: str, x: float, y: float, kind: str) -> str:
    return element("text", text_of(words), x=x, y=y, class_=kind)
