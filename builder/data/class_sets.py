"""Folders that are broader than ImageNet's classes: `dog` stands for 118 breeds."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Annotated

import msgspec

from builder.errors import DataError
from builder.networks import imagenet

WordNetId = Annotated[str, msgspec.Meta(pattern=r"^n\d{8}$")]


class ClassSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The folders of one data set, each with the ImageNet classes that belong to it."""

    title: str
    folders: dict[str, Annotated[list[WordNetId], msgspec.Meta(min_length=1)]]

    def outputs(self, folder: str) -> tuple[int, ...]:
        """Outputs of an ImageNet network that count as right for `folder`, rising."""
        members = set(self.folders[folder])
        return tuple(n for n, name in enumerate(imagenet.wordnet_ids()) if name in members)


def shipped_class_sets() -> dict[str, ClassSet]:
    """Class sets that come with the builder, by name."""
    file = resources.files("builder.data") / "class_sets.toml"
    return decode_class_sets(file.read_text(encoding="utf-8"), source=file.name)


def decode_class_sets(content: str, *, source: str) -> dict[str, ClassSet]:
    """Class sets by name from TOML; `source` names it in errors.

    Raises:
        DataError: not TOML, an unknown or wrong field, an id that is none of ImageNet's, or
            one that stands in two folders.
    """
    try:
        sets = msgspec.toml.decode(content, type=dict[str, ClassSet])
    except msgspec.MsgspecError as error:
        message = f"{source}: {error}; compare it with builder/data/class_sets.toml"
        raise DataError(message) from error
    known = set(imagenet.wordnet_ids())
    for name, one in sets.items():
        owners: dict[str, str] = {}
        for folder, members in one.folders.items():
            for member in members:
                if member not in known:
                    message = f"{source}: {name}.{folder}: {member} is no ImageNet-1k class"
                    raise DataError(message)
                if member in owners:
                    message = (
                        f"{source}: {name}: {member} stands in {owners[member]} and in {folder}; "
                        "an output can be right for one folder only: keep one"
                    )
                    raise DataError(message)
                owners[member] = folder
    return sets


def find_class_set(folders: Sequence[str]) -> ClassSet | None:
    """The shipped class set that knows all of `folders`; None where none does."""
    wanted = set(folders)
    return next(
        (one for one in shipped_class_sets().values() if wanted <= one.folders.keys()), None
    )
