"""The 1000 ImageNet classes by WordNet id and by label."""

from __future__ import annotations

from importlib import resources

from builder.networks import vision


def wordnet_ids() -> list[str]:
    """WordNet ids (`n02123045`) of the 1000 classes in output order.

    Source: the synset list of ILSVRC 2012, as published with timm's data set information.
    """
    file = resources.files("builder.networks") / "imagenet_wordnet_ids.txt"
    return file.read_text(encoding="utf-8").split()


def class_index() -> dict[str, int]:
    """Output index by WordNet id and by normalised label; ambiguous labels are left out."""
    labels = [normalised(label) for label in vision.imagenet_labels()]
    index = {label: number for number, label in enumerate(labels) if labels.count(label) == 1}
    index.update({name: number for number, name in enumerate(wordnet_ids())})
    return index


def normalised(name: str) -> str:
    """Name with case, underscores and hyphens levelled: `Tiger_Cat` is `tiger cat`."""
    return " ".join(name.lower().replace("_", " ").replace("-", " ").split())
