"""Class sets: folders that are broader than ImageNet's classes."""

from __future__ import annotations

import pytest

from builder.data.class_sets import decode_class_sets, find_class_set, shipped_class_sets
from builder.errors import DataError
from builder.networks.vision import imagenet_labels

CIFAR10 = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip


def test_the_shipped_set_for_cifar10_has_its_ten_folders() -> None:
    assert sorted(shipped_class_sets()["cifar10"].folders) == CIFAR10


@pytest.mark.parametrize(
    ("folder", "count", "member", "stranger"),
    [
        ("airplane", 2, "airliner", "airship"),
        ("automobile", 10, "minivan", "pickup"),
        ("bird", 59, "crane bird", "crane"),
        ("cat", 5, "tabby", "tiger"),
        ("deer", 3, "impala", "ram"),
        ("dog", 118, "pug", "dingo"),
        ("frog", 3, "bullfrog", "terrapin"),
        ("horse", 1, "sorrel", "zebra"),
        ("ship", 15, "container ship", "dock"),
        ("truck", 7, "moving van", "minivan"),
    ],
)
def test_a_folder_of_cifar10_has_its_kinds_and_no_others(
    folder: str, count: int, member: str, stranger: str
) -> None:
    labels = imagenet_labels()

    members = [labels[output] for output in shipped_class_sets()["cifar10"].outputs(folder)]

    assert len(members) == count
    assert member in members
    assert stranger not in members


def test_a_set_is_found_for_some_of_its_folders_and_not_beside_a_stranger() -> None:
    known = find_class_set(["cat", "dog"])

    assert known is not None
    assert known.title.startswith("CIFAR-10")
    assert find_class_set(["cat", "teapot"]) is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[pets", "pets.toml: .*compare it with builder/data/class_sets.toml"),
        ('[pets]\ntitle = "Pets"\n', "missing required field `folders`"),
        ('[pets]\ntitle = ""\nfolders = { cat = [] }\n', "length >= 1"),
        ('[pets]\ntitle = ""\nfolders = { cat = ["tabby"] }\n', "matching regex"),
        (
            '[pets]\ntitle = ""\nfolders = { cat = ["n99999999"] }\n',
            "pets.cat: n99999999 is no ImageNet-1k class",
        ),
        (
            '[pets]\ntitle = ""\nfolders = { cat = ["n02123045"], tom = ["n02123045"] }\n',
            "pets: n02123045 stands in cat and in tom",
        ),
    ],
)
def test_a_set_that_makes_no_sense_is_refused(content: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        decode_class_sets(content, source="pets.toml")
