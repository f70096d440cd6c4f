"""A set's evaluation set: images with known answers, by which a device measures accuracy itself.

It is an `.npz` file of plain arrays, not compressed. Images stand in an order of which every
beginning is balanced over the classes, so that a slow device may stop early.
"""

from __future__ import annotations

import msgspec

from contract.manifest import Count, Positive

EVALSET_NAME = "evalset.npz"
#: uint8 [bytes]: image files as they were found, one behind the other.
EVALSET_FILES = "files"
#: int64 [N + 1]: where each file begins, and where the last one ends.
EVALSET_OFFSETS = "offsets"
#: int64 [N]: place of each image in the data set's sorted list, hence its bit in `Accuracy.hits`.
EVALSET_POSITIONS = "positions"
#: Fills up rows of answers; no output has this number.
NO_OUTPUT = -1

#: A file from elsewhere must not fill a small box.
MAX_EVALSET_BYTES = 64_000_000
MAX_EVALSET_IMAGES = 2_000


class Evalset(msgspec.Struct, frozen=True, kw_only=True):
    """What `set.json` says of the evaluation set."""

    file: str = EVALSET_NAME
    bytes: Count
    sha256: str
    images: Positive
    #: How many were asked for; fewer are in it where there were no more, or no room.
    wanted: Positive
    #: Data set that they were drawn from, and how many images its list has.
    dataset: str
    drawn_from: Positive


def answers_name(architecture: str) -> str:
    """Name of the array of an architecture's right outputs: int64 [N, widest].

    Rows are filled up with `NO_OUTPUT`. Without labels the right output is the base's top-1.
    """
    return f"answers_{architecture}"
