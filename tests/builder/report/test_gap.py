"""How sure the difference of two accuracies is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from builder.report.gap import accuracy_gap
from contract.manifest import Manifest

Papers = Callable[..., Manifest]


def test_image_by_image_tells_closer_variants_apart_than_totals_do(manifest: Papers) -> None:
    base, pruned = manifest("resnet18-base").accuracy, manifest("resnet18-p30").accuracy
    totals = [msgspec.structs.replace(accuracy, hits=None) for accuracy in (pruned, base)]

    paired, unpaired = accuracy_gap(pruned, base), accuracy_gap(*totals)

    assert paired.is_paired
    assert not paired.may_be_chance
    assert not unpaired.is_paired
    assert unpaired.may_be_chance
    assert paired.difference == unpaired.difference


def test_other_images_are_never_paired(manifest: Papers) -> None:
    base = manifest("resnet18-base").accuracy
    elsewhere = msgspec.structs.replace(base, dataset="other")

    assert not accuracy_gap(base, elsewhere).is_paired


def test_hits_that_cannot_be_read_leave_the_totals(manifest: Papers) -> None:
    base = manifest("resnet18-base").accuracy
    broken = msgspec.structs.replace(base, hits="AAAA")

    gap = accuracy_gap(broken, base)

    assert not gap.is_paired
    assert gap.low < 0 < gap.high
