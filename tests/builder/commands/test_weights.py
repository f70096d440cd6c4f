"""`--weights`, for all networks or for each."""

from __future__ import annotations

import click
import pytest

from builder.commands.weights import weights_by_architecture

TWO = ("resnet18", "resnet34")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], ("default", "default")),
        (["none"], ("none", "none")),
        (["resnet34=b.pt"], ("default", "b.pt")),
        (["resnet18=a.pt", "resnet34=b.pt"], ("a.pt", "b.pt")),
        (["./lr=0.1/best.pt"], ("./lr=0.1/best.pt",) * 2),
        (["resnet18=lr=0.1/a.pt", "resnet34=none"], ("lr=0.1/a.pt", "none")),
    ],
)
def test_each_network_gets_its_own_or_the_common_weights(
    values: list[str], expected: tuple[str, str]
) -> None:
    assert weights_by_architecture(TWO, values) == dict(zip(TWO, expected, strict=True))


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        (["resnet50=a.pt"], "'resnet50' is not among resnet18, resnet34"),
        ([""], "expected default, none or a file"),
        (["resnet18="], "expected default, none or a file"),
        (["resnet18=a.pt", "resnet18=b.pt"], "resnet18 has weights already"),
        (["none", "resnet34=b.pt"], "resnet34 has weights already"),
    ],
)
def test_weights_for_nobody_or_given_twice_are_wrong_use(values: list[str], complaint: str) -> None:
    with pytest.raises(click.BadParameter, match=complaint) as caught:
        weights_by_architecture(TWO, values)

    assert caught.value.exit_code == 2
