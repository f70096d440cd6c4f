"""Reads an evaluation set, one image at a time."""

from __future__ import annotations

import contextlib
import itertools
import math
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.lib.format as npy
import numpy.typing as npt

from agent.errors import EvalsetError
from contract.evalset import (
    EVALSET_FILES,
    EVALSET_OFFSETS,
    EVALSET_POSITIONS,
    MAX_EVALSET_BYTES,
    MAX_EVALSET_IMAGES,
    NO_OUTPUT,
    answers_name,
)

_HEADER_VERSION = (1, 0)
_ROWS_AND_COLUMNS = 2

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Question:
    """One image of the set, and what is right for it."""

    #: An image file as it was found.
    content: bytes
    #: Its place in the data set's sorted list.
    position: int
    #: Outputs that count as right, at least one.
    answers: frozenset[int]


def read_questions(path: Path, architecture: str, *, drawn_from: int) -> Iterator[Question]:
    """Yield the images of an evaluation set in their order, reading each when it is wanted.

    Nothing is unpickled, and no array is larger than the file says and the limits allow.

    Args:
        path: a file whose SHA-256 was checked.
        architecture: whose answers to read.
        drawn_from: how many images the list has that `Question.position` counts in.

    Raises:
        EvalsetError: missing, damaged, too large, not such a file, or without answers for
            the architecture.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _questions(archive, answers_name(architecture), drawn_from)
    except (
        OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        message = f"{path}: {error}; copy the bundle set again, or build it again"
        raise EvalsetError(message) from error


def _questions(archive: zipfile.ZipFile, answers_of: str, drawn_from: int) -> Iterator[Question]:
    size_bytes = sum(member.file_size for member in archive.infolist())
    _expect(size_bytes <= MAX_EVALSET_BYTES, f"at most {MAX_EVALSET_BYTES} bytes", size_bytes)
    offsets = _numbers(archive, EVALSET_OFFSETS)
    count = offsets.size - 1
    _expect(
        offsets.ndim == 1 and 1 <= count <= MAX_EVALSET_IMAGES,
        f"{EVALSET_OFFSETS}: [N + 1] with N of 1 to {MAX_EVALSET_IMAGES}",
        offsets.shape,
    )
    positions = _numbers(archive, EVALSET_POSITIONS)
    _expect(
        positions.shape == (count,) and positions.min() >= 0 and positions.max() < drawn_from,
        f"{EVALSET_POSITIONS}: [{count}] of 0 to {drawn_from - 1}", positions.shape,
    )  # fmt: skip
    answers = _numbers(archive, answers_of)
    _expect(
        answers.ndim == _ROWS_AND_COLUMNS
        and len(answers) == count
        and answers.size > 0
        and bool((answers.max(axis=1) > NO_OUTPUT).all()),
        f"{answers_of}: [{count}, widest] with an output for each image", answers.shape,
    )  # fmt: skip
    with _array(archive, EVALSET_FILES, np.dtype(np.uint8)) as (files, shape):
        bounds = offsets.tolist()
        is_rising = all(start < end for start, end in itertools.pairwise(bounds))
        _expect(
            shape == (bounds[-1],) and bounds[0] == 0 and is_rising,
            f"{EVALSET_OFFSETS}: rising from 0 to the end of {EVALSET_FILES}",
            shape,
        )
        for n, (start, end) in enumerate(itertools.pairwise(bounds)):
            yield Question(
                content=files.read(end - start),
                position=int(positions[n]),
                answers=frozenset(answers[n].tolist()) - {NO_OUTPUT},
            )


def _numbers(archive: zipfile.ZipFile, name: str) -> Numbers:
    """Whole numbers of one array; there are few, unlike bytes of images."""
    with _array(archive, name, np.dtype(np.int64)) as (content, shape):
        return np.frombuffer(content.read(), dtype=np.int64).reshape(shape)


@contextlib.contextmanager
def _array(
    archive: zipfile.ZipFile, name: str, kind: np.dtype[Any]
) -> Iterator[tuple[IO[bytes], tuple[int, ...]]]:
    """Yield an array's bytes and shape, which fit each other."""
    members = [member for member in archive.infolist() if member.filename == f"{name}.npy"]
    _expect(len(members) == 1, f"one array {name}", len(members))
    with archive.open(members[0]) as content:
        _expect(npy.read_magic(content) == _HEADER_VERSION, f"{name}: an array of numpy", "none")
        try:
            shape, is_by_column, dtype = npy.read_array_header_1_0(content)
        except Exception as error:  # a literal of Python, which can be wrong in any way
            message = f"{name}: expected the header of an array: {error}"
            raise ValueError(message) from error
        left_bytes = members[0].file_size - content.tell()
        # Objects, which would have to be unpickled, are of another kind.
        _expect(dtype == kind and not is_by_column, f"{name}: {kind}, row by row", dtype)
        _expect(math.prod(shape) * kind.itemsize == left_bytes, f"{name}: all of {shape}", "less")
        yield content, shape


def _expect(is_so: bool, expected: str, got: object) -> None:  # noqa: FBT001 - a condition
    if not is_so:
        message = f"expected {expected}, got {got}"
        raise ValueError(message)
