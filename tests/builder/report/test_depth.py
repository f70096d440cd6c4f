"""Which network of a family pays."""

# ruff: noqa: RUF001 - the multiplication sign is meant
from __future__ import annotations

from collections.abc import Callable

import msgspec

from builder.report.depth import Pay, ladders
from builder.report.document import Report
from contract.manifest import Manifest

Make = Callable[..., Report]


def test_a_deeper_network_that_is_surely_better_pays_where_its_time_can_be_afforded(
    make: Make,
) -> None:
    (ladder,) = make().ladders

    assert [rung.architecture for rung in ladder.rungs] == ["resnet18", "resnet34"]
    assert [rung.blocks for rung in ladder.rungs] == [9, 17]
    assert ladder.steps[0].pays is Pay.YES
    assert ladder.steps[0].words == (
        "resnet34 takes 2.05× as long as resnet18 and is 0.7 points more accurate: "
        "deeper pays where 21 ms more can be afforded."
    )


def test_a_lead_that_totals_cannot_prove_is_called_so(make: Make) -> None:
    (ladder,) = make(hits=False).ladders

    assert ladder.steps[0].pays is Pay.UNPROVEN
    assert "1000 images cannot tell that from chance" in ladder.steps[0].words


def test_a_deeper_network_that_is_no_better_does_not_pay(
    make: Make, manifest: Callable[..., Manifest]
) -> None:
    report = make()
    deeper, shallower = manifest("resnet34-base"), manifest("resnet18-base")
    worse = msgspec.structs.replace(
        deeper, accuracy=msgspec.structs.replace(deeper.accuracy, top1=0.9, hits=None)
    )

    (ladder,) = ladders(report.entries, {"resnet34-base": worse, "resnet18-base": shallower})

    assert ladder.steps[0].pays is Pay.NO
    assert ladder.steps[0].words == (
        "resnet34 takes 2.05× as long as resnet18 and is 0.4 points less accurate: "
        "deeper does not pay here."
    )


def test_untimed_networks_are_compared_by_their_work(make: Make) -> None:
    (ladder,) = make(is_timed=False).ladders

    assert ladder.steps[0].words.startswith("resnet34 does 2.02× the work of resnet18 and is")


def test_one_architecture_has_no_ladder(make: Make) -> None:
    assert make("resnet18-base", "resnet18-sq8").ladders == []
