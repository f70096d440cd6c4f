from __future__ import annotations

import pytest

from builder.errors import UsageError
from builder.search.candidate import Candidate, Space, smaller_inputs
from contract.manifest import Scheme

SPACE = Space(input_sizes={"resnet18": (64, 48), "vgg19": (224, 160)}, ratios=(0.3, 0.1))


@pytest.mark.parametrize(
    ("candidate", "name"),
    [
        (Candidate(architecture="resnet18", input_size=64), "resnet18-base"),
        (
            Candidate(
                architecture="resnet18", prune_ratio=0.3, scheme=Scheme.STATIC_INT8, input_size=48
            ),
            "resnet18-p30-sq8-r48",
        ),
        (Candidate(architecture="vgg19", scheme=Scheme.DYNAMIC_INT8, input_size=224), "vgg19-dq8"),
        (Candidate(architecture="vgg19", input_size=160), "vgg19-r160"),
    ],
)
def test_candidates_are_named_as_the_variants_that_they_become(
    candidate: Candidate, name: str
) -> None:
    assert SPACE.name(candidate) == name


def test_a_space_is_every_combination_once_with_all_bases_among_them() -> None:
    candidates = SPACE.candidates()
    assert len(candidates) == len(set(candidates)) == 2 * 2 * 2 * 3
    assert {SPACE.base("resnet18"), SPACE.base("vgg19")} <= set(candidates)
    assert SPACE.baseline == Candidate(architecture="resnet18", input_size=64)


def test_the_recipe_of_a_candidate_gives_its_own_input_size_back() -> None:
    for base_size in range(64, 521, 8):
        for size in smaller_inputs(base_size):
            candidate = Candidate(architecture="any", input_size=size)
            assert candidate.spec(base_size).input_size(base_size) == size


def test_smaller_inputs_are_the_usual_ones() -> None:
    assert smaller_inputs(224) == (224, 192, 160, 128)
    assert smaller_inputs(64) == (64, 56, 48, 40)
    assert smaller_inputs(8) == (8,)


def test_candidates_are_ordered_though_some_are_not_pruned() -> None:
    in_order = sorted(SPACE.candidates())
    assert in_order[0] == Candidate(architecture="resnet18", input_size=64)
    assert in_order == sorted(set(in_order))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"input_sizes": {}}, "input_sizes"),
        ({"input_sizes": {"one": ()}}, "input_sizes"),
        ({"input_sizes": {"one": (64,)}, "ratios": (0.1, 1.0)}, r"ratios.*1\.0"),
    ],
)
def test_a_space_that_cannot_be_meant_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Space(**wrong)
