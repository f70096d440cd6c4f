"""What pruning and quantizing each layer does, drawn."""

from __future__ import annotations

import re

from builder.report.strips import damage_bars, depth_of_colour, sensitivity_map
from builder.studies.damage import LayerDamage, NetworkDamage
from builder.studies.store import Studies


def test_each_cell_says_what_was_removed_and_what_it_did(studies: Studies) -> None:
    drawing = sensitivity_map(studies.sensitivities[0])

    assert drawing.count('class="heat"') == 4
    assert (
        "<title>50 % of 64 filters of conv1 with layer1.0.conv2: "
        "the answers move by 1.50 nats</title>"
    ) in drawing


def test_a_dearer_group_is_darker_and_a_harmless_one_pale() -> None:
    depths = [depth_of_colour(loss, 1.5) for loss in (-0.1, 0.0, 0.04, 0.2, 1.5)]

    assert depths[:2] == [0.0, 0.0]
    assert depths == sorted(depths)
    assert depths[-1] == 1.0
    assert depth_of_colour(0.0, 0.0) == 0.0


def test_the_longest_bar_is_the_worst_layer() -> None:
    layers = [
        LayerDamage(layer="a", macs=9, kl_nats=0.5),
        LayerDamage(layer="b", macs=9, kl_nats=0.25),
    ]

    drawing = damage_bars(NetworkDamage(network="n", layers=layers))

    lengths = [float(width) for width in re.findall(r'width="([\d.]+)"', drawing)]
    assert lengths == [300.0, 150.0]


def test_layers_that_lose_nothing_are_drawn_all_the_same() -> None:
    drawing = damage_bars(
        NetworkDamage(network="n", layers=[LayerDamage(layer="a", macs=9, kl_nats=0)])
    )

    assert "quantized alone, 0 nats" in drawing
