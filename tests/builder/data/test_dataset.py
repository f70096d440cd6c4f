"""Folders of images, of the right and of the wrong shape."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.data.dataset import open_dataset
from builder.errors import DataError
from builder.progress import Silence


def test_a_tree_is_listed_with_its_classes_in_order(data: Path) -> None:
    dataset = open_dataset(data)

    assert dataset.folders == ("blue", "green", "red")
    assert (len(dataset.train), len(dataset.val)) == (36, 12)
    assert [sample.folder for sample in dataset.val] == [0] * 4 + [1] * 4 + [2] * 4


def test_a_flat_folder_has_no_labels(flat_data: Path) -> None:
    dataset = open_dataset(flat_data)

    assert not dataset.labelled
    assert dataset.train == dataset.val
    assert len(dataset.val) == 8


def test_bad_images_are_named_and_skipped(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    whole = (root / "train" / "red" / "0.png").read_bytes()
    (root / "train" / "red" / "0.png").write_bytes(whole[: len(whole) // 2])
    (root / "train" / "green" / "1.png").write_bytes(b"")
    (root / "val" / "blue" / "2.jpg").write_text("a text")
    (root / "val" / "blue" / "notes.txt").write_text("a text")
    (root / "val" / "blue" / ".DS_Store").write_text("hidden, and no word about it")

    dataset = open_dataset(root).without_bad_images(Silence())

    assert (len(dataset.train), len(dataset.val)) == (34, 12)
    named = {problem.partition(":")[0] for problem in dataset.bad}
    assert named == {
        "train/red/0.png",
        "train/green/1.png",
        "val/blue/2.jpg",
        "val/blue/notes.txt",
    }
    assert all(problem in caplog.text for problem in dataset.bad)


def test_classes_without_images_are_warned_of(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    (root / "train" / "yellow").mkdir()
    shutil.rmtree(root / "val" / "red")

    open_dataset(root).without_bad_images(Silence())

    assert "train/ has no images of yellow" in caplog.text
    assert "val/ has no images of red, yellow" in caplog.text


def test_of_many_bad_images_the_first_are_named_and_the_rest_is_counted(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    for number in range(30):
        (root / "val" / "red" / f"x{number:02}.png").write_bytes(b"")

    open_dataset(root).without_bad_images(Silence())

    assert caplog.text.count("skipped val/red/x") == 20
    assert "skipped 10 further files" in caplog.text


def test_a_file_in_place_of_the_folder_is_called_one(data: Path) -> None:
    with pytest.raises(DataError, match=r"0\.png: is a file; expected train/ and val/"):
        open_dataset(data / "train" / "red" / "0.png")


def test_no_usable_image_left_is_an_error(data: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    for path in (root / "val").rglob("*.png"):
        path.write_bytes(b"nothing")

    with pytest.raises(DataError, match=r"no usable image is left in val/: val/blue/0\.png"):
        open_dataset(root).without_bad_images(Silence())


def test_the_digest_follows_content_and_names_but_not_dates(data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(data, copy, copy_function=shutil.copyfile)
    original = open_dataset(data).digest(Silence())

    assert open_dataset(copy).digest(Silence()) == original
    shutil.copyfile(copy / "val" / "red" / "0.png", copy / "val" / "red" / "1.png")
    changed = open_dataset(copy).digest(Silence())
    assert changed != original
    (copy / "val" / "red" / "1.png").rename(copy / "val" / "red" / "9.png")
    assert open_dataset(copy).digest(Silence()) not in {original, changed}


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ([], "has no images; expected train/ and val/"),
        (["red/0.png", "green/0.png"], "has folders green, red; expected train/ and val/"),
        (["train/red/0.png"], "has train/ but no val/"),
        (["val/red/0.png"], "has val/ but no train/"),
        (["train/0.png", "val/0.png"], "train/ has no class folders"),
        (["train/red/0.png", "val/0.png"], "val/ has no class folders"),
        (["train/red/0.png", "val/green/0.png"], "classes that train/ lacks: green"),
        (["train/red/0.png", "val/red/notes.txt"], "val/ has no images"),
    ],
)
def test_a_folder_of_the_wrong_shape_says_what_was_expected(
    tmp_path: Path, files: list[str], complaint: str
) -> None:
    for name in files:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    with pytest.raises(DataError, match=complaint):
        open_dataset(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere: no such folder"):
        open_dataset(tmp_path / "nowhere")
