"""Labels beside points, placed so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: Width of a letter as a share of the type's size: measured on common sans-serif faces.
_LETTER_WIDTH = 0.6
_LINE_HEIGHT = 1.15
#: Distances tried, in units of the drawing; beyond the first a line leads to the point.
_DISTANCES = (11.0, 18.0, 30.0, 46.0, 64.0)
_DIRECTIONS = ((1, 0), (1, -1), (1, 1), (0, -1), (0, 1), (-1, 0), (-1, -1), (-1, 1))
_POINT_RADIUS = 6.0
_OUTSIDE_COST = 1e6
_LABEL_COST = 40.0
_POINT_COST = 12.0
_LINE_COST = 1.5
_LINE_HALF_WIDTH = 2.0
_LEADER_FROM = 16.0
_ANCHORS = {1: "start", 0: "middle", -1: "end"}


@dataclass(frozen=True)
class Box:
    """A rectangle; y grows downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: Box) -> float:
        """Area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def beyond(self, frame: Box) -> float:
        """Return how far this sticks out of `frame`."""
        return sum(
            max(0.0, excess)
            for excess in (
                frame.left - self.left,
                frame.top - self.top,
                self.right - frame.right,
                self.bottom - frame.bottom,
            )
        )


@dataclass(frozen=True, kw_only=True)
class Label:
    """Words, the point they belong to, and the box that they were given."""

    words: str
    x: float
    y: float
    box: Box
    #: What of the text lies nearest the point: its start, middle or end.
    anchor: str
    needs_leader: bool


def place_labels(
    wanted: Sequence[tuple[str, float, float]],
    *,
    points: Sequence[tuple[float, float]],
    lines: Sequence[Box] = (),
    frame: Box,
    size: float,
) -> list[Label]:
    """Give each of `wanted` (words, x, y) the free place that is nearest its point.

    Greedy, in the given order: the most important one comes first.

    Args:
        wanted: labels.
        points: everything that should stay visible.
        lines: what is better not written over either.
        frame: what labels stay inside of.
        size: of the type.
    """
    obstacles = [
        Box(x - _POINT_RADIUS, y - _POINT_RADIUS, x + _POINT_RADIUS, y + _POINT_RADIUS)
        for x, y in points
    ]
    placed: list[Label] = []
    for words, x, y in wanted:
        candidates = [
            (_box(words, (x, y), size, direction, distance), direction, distance)
            for distance in _DISTANCES
            for direction in _DIRECTIONS
        ]

        def cost(candidate: tuple[Box, tuple[int, int], float]) -> float:
            box, _, distance = candidate
            return (
                distance
                + _OUTSIDE_COST * (box.beyond(frame) > 0)
                + _LABEL_COST * sum(box.overlap(label.box) for label in placed)
                + _POINT_COST * sum(box.overlap(obstacle) for obstacle in obstacles)
                + _LINE_COST * sum(box.overlap(line) for line in lines)
            )

        box, (across, _), distance = min(candidates, key=cost)
        placed.append(
            Label(
                words=words,
                x=x,
                y=y,
                box=box,
                anchor=_ANCHORS[across],
                needs_leader=distance >= _LEADER_FROM,
            )
        )
    return placed


def upright_line(start: tuple[float, float], end: tuple[float, float]) -> Box:
    """Return what a line along one of the axes covers, with some air."""
    return Box(
        min(start[0], end[0]) - _LINE_HALF_WIDTH,
        min(start[1], end[1]) - _LINE_HALF_WIDTH,
        max(start[0], end[0]) + _LINE_HALF_WIDTH,
        max(start[1], end[1]) + _LINE_HALF_WIDTH,
    )


def text_width(words: str, size: float) -> float:
    """About how wide `words` are."""
    return len(words) * size * _LETTER_WIDTH


def _box(
    words: str, point: tuple[float, float], size: float, direction: tuple[int, int], distance: float
) -> Box:
    width, height = text_width(words, size), size * _LINE_HEIGHT
    (x, y), (across, down) = point, direction
    left = x + across * distance - (0 if across > 0 else width if across < 0 else width / 2)
    middle = y + down * (distance + (0 if across else height / 4))
    return Box(left, middle - height / 2, left + width, middle + height / 2)
