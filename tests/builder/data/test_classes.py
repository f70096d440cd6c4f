"""Class folders and the outputs that they stand for."""

from __future__ import annotations

import pytest

from builder.data.classes import match_classes
from builder.errors import DataError
from builder.networks.imagenet import class_index, wordnet_ids
from builder.networks.vision import imagenet_labels


def test_wordnet_ids_match_the_labels_of_torchvision() -> None:
    index = class_index()
    labels = imagenet_labels()

    assert len(set(wordnet_ids())) == 1000
    # Three that are far apart: a shifted or reordered list would miss at least one.
    for wordnet_id, label in (
        ("n01440764", "tench"),
        ("n02123045", "tabby"),
        ("n15075141", "toilet tissue"),
    ):
        assert labels[index[wordnet_id]] == label


def test_folders_named_by_wordnet_id_find_their_outputs() -> None:
    classes = match_classes(["n01440764", "n02123045"], 1000, is_imagenet=True)

    assert classes.outputs == ((0,), (281,))
    assert classes.labels == tuple(imagenet_labels())


def test_folders_named_by_imagenet_label_find_their_outputs() -> None:
    classes = match_classes(["Tabby", "tiger_cat"], 1000, is_imagenet=False)

    assert classes.outputs == ((281,), (282,))


def test_a_label_that_two_classes_share_does_not_match() -> None:
    with pytest.raises(DataError, match="cardigan"):
        match_classes(["cardigan", "tabby"], 1000, is_imagenet=True)


def test_folders_of_a_known_set_stand_for_several_outputs_each() -> None:
    classes = match_classes(["cat", "frog"], 1000, is_imagenet=False)

    assert classes.outputs == ((281, 282, 283, 284, 285), (30, 31, 32))
    assert classes.labels == tuple(imagenet_labels())


def test_a_network_with_an_output_for_each_folder_needs_no_set() -> None:
    assert match_classes(["cat", "frog"], 2, is_imagenet=False).outputs == ((0,), (1,))


def test_folders_of_other_names_are_taken_in_order_where_the_counts_agree() -> None:
    classes = match_classes(["0", "1", "2"], 3, is_imagenet=False)

    assert (classes.labels, classes.outputs) == (("0", "1", "2"), ((0,), (1,), (2,)))


def test_a_thousand_folders_of_other_names_fit_a_thousand_outputs() -> None:
    folders = [f"{number:03}" for number in range(1000)]

    assert match_classes(folders, 1000, is_imagenet=False).labels == tuple(folders)


@pytest.mark.parametrize(
    ("folders", "outputs", "complaint"),
    [
        (["0", "1"], 3, "3 outputs and train/ has 2 class folders .0, 1.; expected 3 class"),
        (["0", "1"], 1000, "expected 1000 class folders, or folders named by WordNet id"),
        (["cat", "teapots"], 1000, r"ImageNet label .tabby. or as in cifar10"),
        (["cat"], 1, "one class folder, cat: nothing can be told apart"),
        (["tabby", "my_cat"], 1000, "1 of 2 folders match ImageNet classes, but not my_cat"),
        (["n02123045", "tabby"], 1000, "n02123045 and tabby are the same ImageNet class"),
    ],
)
def test_folders_that_fit_no_outputs_say_what_was_expected(
    folders: list[str], outputs: int, complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        match_classes(folders, outputs, is_imagenet=False)


def test_a_network_of_fixed_width_is_not_sent_to_training() -> None:
    with pytest.raises(DataError, match="let its factory take num_classes") as caught:
        match_classes(["0", "1"], 3, is_imagenet=False, resizable=False)

    assert "train ARCH" not in str(caught.value)


def test_without_folders_outputs_are_numbered_unless_imagenets() -> None:
    assert match_classes([], 3, is_imagenet=False).labels == ("class 0", "class 1", "class 2")
    assert match_classes([], 1000, is_imagenet=True).labels[281] == "tabby"
