"""Labels keep clear of points and of each other."""

from __future__ import annotations

from builder.report.labels import Box, place_labels, upright_line

FRAME = Box(0, 0, 600, 300)


def test_labels_of_a_crowd_do_not_cover_each_other_or_leave_the_frame() -> None:
    points = [(300.0 + 7 * n, 150.0 + 3 * (n % 3)) for n in range(6)]
    wanted = [(f"resnet18-p{n}0-sq8", *point) for n, point in enumerate(points)]

    labels = place_labels(wanted, points=points, frame=FRAME, size=12)

    for number, label in enumerate(labels):
        assert label.box.beyond(FRAME) == 0
        assert all(label.box.overlap(other.box) == 0 for other in labels[:number])
    assert any(label.needs_leader for label in labels)


def test_a_label_alone_stands_right_beside_its_point() -> None:
    (label,) = place_labels([("base", 100, 100)], points=[(100, 100)], frame=FRAME, size=12)

    assert label.anchor == "start"
    assert not label.needs_leader
    assert 100 < label.box.left < 115


def test_at_the_right_edge_a_label_turns_to_the_left() -> None:
    (label,) = place_labels([("base", 590, 100)], points=[(590, 100)], frame=FRAME, size=12)

    assert label.anchor == "end"
    assert label.box.right < 590


def test_a_label_keeps_off_a_line_where_there_is_room() -> None:
    line = upright_line((100, 100), (400, 100))

    (label,) = place_labels(
        [("base", 100, 100)], points=[(100, 100)], lines=[line], frame=FRAME, size=12
    )

    assert label.box.overlap(line) == 0
