"""Reading an evaluation set: whatever stands in the file, nothing but our error comes out."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.errors import EvalsetError
from agent.evalset import read_questions
from contract.evalset import MAX_EVALSET_BYTES, MAX_EVALSET_IMAGES
from support.evalsets import BLUE, GREEN, RED, coloured, evalset_arrays, write_evalset

FILES = [coloured(colour) for colour in (RED, GREEN, BLUE)]
ANSWERS = {"net": [[0, -1], [1, 7], [2, -1]], "other": [[5], [6], [7]]}
Arrays = dict[str, Any]


def written(folder: Path, **changes: object) -> Path:
    """An evaluation set of three images from a list of nine, with other arrays than it should."""
    arrays = evalset_arrays(FILES, ANSWERS, [8, 0, 3]) | changes
    write_evalset(folder, {k: v for k, v in arrays.items() if v is not None}, drawn_from=9)
    return folder / "evalset.npz"


def read(path: Path, architecture: str = "net") -> list[tuple[bytes, int, set[int]]]:
    """All that is read of a file."""
    questions = read_questions(path, architecture, drawn_from=9)
    return [(q.content, q.position, set(q.answers)) for q in questions]


def test_images_come_back_in_their_order_with_an_architectures_answers(tmp_path: Path) -> None:
    """Fillers are no answers."""
    path = written(tmp_path)
    assert read(path) == [(FILES[0], 8, {0}), (FILES[1], 0, {1, 7}), (FILES[2], 3, {2})]
    assert [answers for _, _, answers in read(path, "other")] == [{5}, {6}, {7}]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"answers_net": None}, "one array answers_net, got 0"),
        ({"offsets": None}, "one array offsets"),
        ({"files": None}, "one array files"),
        ({"offsets": np.array(0)}, "offsets"),
        ({"offsets": np.zeros(1, np.int64)}, "offsets"),
        ({"offsets": np.arange(MAX_EVALSET_IMAGES + 2)}, f"N of 1 to {MAX_EVALSET_IMAGES}"),
        ({"offsets": np.array([0, 5, 3, 9])}, "rising"),
        ({"offsets": np.array([0, 2**63 - 1, -(2**63), 9])}, "rising"),
        ({"offsets": np.array([0, 10, 20, 2**62])}, "rising"),
        ({"offsets": np.array([0.0, 1.0])}, "offsets: int64"),
        ({"positions": np.array([8, 0])}, "positions"),
        ({"positions": np.array([8, 0, 9])}, "positions: .3. of 0 to 8"),
        ({"positions": np.array([8, 0, -1])}, "positions"),
        ({"answers_net": np.array([0, 1, 2])}, "answers_net"),
        ({"answers_net": np.zeros((3, 0), np.int64)}, "answers_net"),
        ({"answers_net": np.array([[0], [-1], [2]])}, "an output for each image"),
        ({"answers_net": np.asfortranarray([[0, -1], [1, 7], [2, -1]])}, "row by row"),
        ({"files": np.zeros(4, np.int8)}, "files: uint8"),
        ({"positions": np.array([{"a": 1}] * 3, dtype=object)}, "positions: int64"),
    ],
)
def test_arrays_that_do_not_fit_each_other_are_refused(
    tmp_path: Path, changes: Arrays, told: str
) -> None:
    """The message names the array; an object is never unpickled."""
    with pytest.raises(EvalsetError, match=told):
        read(written(tmp_path, **changes))


def header_only(shape: str, dtype: str = "<i8") -> bytes:
    """An array that claims more than it has."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        header_only("(4000000000000,)"),
        header_only("(-1, -4)") + bytes(32),
        header_only("(4,)")[:40],
        header_only("((((") + bytes(32),
        header_only("(4,)", dtype="|O") + bytes(32),
        b"\x93NUMPY\x03\x00" + bytes(60),
        b"",
    ],
)
def test_an_array_that_claims_what_it_has_not_takes_no_memory(
    tmp_path: Path, content: bytes
) -> None:
    """Terabytes by the header, cut headers, and headers that are no literal."""
    path = written(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, was in members.items():
            archive.writestr(name, content if name == "offsets.npy" else was)
    with pytest.raises(EvalsetError):
        read(path)


def test_what_would_unpack_to_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    """A small file of zeros is not inflated."""
    path = tmp_path / "evalset.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("files.npy", bytes(MAX_EVALSET_BYTES + 1))
    assert path.stat().st_size < 100_000
    with pytest.raises(EvalsetError, match=f"at most {MAX_EVALSET_BYTES} bytes"):
        read(path)


def truncated(content: bytes) -> bytes:
    """Without its end, where a zip keeps its list."""
    return content[:-30]


def flipped(content: bytes) -> bytes:
    """One bit of an image, which the zip's own checksum finds."""
    place = content.index(FILES[1]) + 20
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize("damage", [truncated, flipped, lambda _: b"", lambda _: b"PK\x03\x04no"])
def test_a_damaged_file_is_our_error(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    """So is one that is no zip, and one that has gone."""
    path = written(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EvalsetError, match="copy the bundle set again"):
        read(path)
    path.unlink()
    with pytest.raises(EvalsetError, match="No such file"):
        read(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path: Path) -> None:
    """Its code would run."""
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (ran,)

    path = written(tmp_path, positions=np.array([Bomb()] * 3, dtype=object))
    with pytest.raises(EvalsetError, match="positions: int64"):
        read(path)
    assert not ran.exists()
