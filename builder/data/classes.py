"""Which outputs of a network each class folder stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from builder.data.class_sets import find_class_set, shipped_class_sets
from builder.errors import DataError
from builder.networks import imagenet, vision


@dataclass(frozen=True, kw_only=True)
class Classes:
    """Labels of a network's outputs, and the outputs of each class folder."""

    #: In output order.
    labels: tuple[str, ...]
    #: By position of the folder in the sorted list of folders: the outputs that count as
    #: right for it, rising; more than one where the folder is broader than the classes.
    outputs: tuple[tuple[int, ...], ...]


def match_classes(
    folders: Sequence[str], outputs: int, *, is_imagenet: bool, resizable: bool = True
) -> Classes:
    """Match class folders to a network's outputs.

    A network with 1000 outputs is matched by WordNet id or ImageNet label where the folders
    bear such names, or by a known class set where that names all folders (CIFAR-10's `dog`
    stands for 118 breeds). Else there must be as many folders as outputs, and they are taken
    in sorted order, as torchvision's ImageFolder does.

    Args:
        folders: names of the class folders, sorted; empty where there are no labels.
        outputs: width of the network's logits.
        is_imagenet: whether the weights are known to be ImageNet's.
        resizable: whether the network can be made with another number of outputs.

    Raises:
        DataError: the counts differ and the names do not match, or only some do.
    """
    thousand = outputs == vision.IMAGENET_CLASSES
    if not folders:
        known = is_imagenet and thousand
        labels = vision.imagenet_labels() if known else [f"class {n}" for n in range(outputs)]
        return Classes(labels=tuple(labels), outputs=())
    index = imagenet.class_index() if thousand else {}
    found = [index.get(imagenet.normalised(name)) for name in folders]
    matched = [number for number in found if number is not None]
    if len(matched) == len(folders):
        _check_distinct(folders, matched)
        return Classes(
            labels=tuple(vision.imagenet_labels()), outputs=tuple((number,) for number in matched)
        )
    if thousand and (known_set := find_class_set(folders)):
        return Classes(
            labels=tuple(vision.imagenet_labels()),
            outputs=tuple(known_set.outputs(folder) for folder in folders),
        )
    if len(folders) == outputs == 1:
        message = (
            f"train/: one class folder, {folders[0]}: nothing can be told apart; add a folder of "
            "what is something else"
        )
        raise DataError(message)
    if len(folders) == outputs:
        return Classes(labels=tuple(folders), outputs=tuple((n,) for n in range(outputs)))
    if matched:
        strangers = [name for name, number in zip(folders, found, strict=True) if number is None]
        message = (
            f"train/: {len(matched)} of {len(folders)} folders match ImageNet classes, but not "
            f"{', '.join(strangers[:5])}; name them by WordNet id (n02123045) or remove them"
        )
        raise DataError(message)
    names = ", ".join(folders[:5]) + (", ..." if len(folders) > len(folders[:5]) else "")
    expected = f"{outputs} class folders"
    if thousand:
        expected += (
            ", or folders named by WordNet id (n02123045), by ImageNet label (tabby) or as in "
            + " or ".join(shipped_class_sets())
        )
    remedy = (
        "To train it on these classes: edgewright-builder train ARCH --data DIR --out FILE, then "
        "build with --weights FILE"
        if resizable
        else "For other classes let its factory take num_classes"
    )
    message = (
        f"the network has {outputs} outputs and train/ has {len(folders)} class folders "
        f"({names}); expected {expected}. {remedy}"
    )
    raise DataError(message)


def _check_distinct(folders: Sequence[str], numbers: Sequence[int]) -> None:
    first: dict[int, str] = {}
    for name, number in zip(folders, numbers, strict=True):
        if number in first:
            message = f"train/: {first[number]} and {name} are the same ImageNet class; merge them"
            raise DataError(message)
        first[number] = name
