"""The evaluation set of a build: which images, in which order, with which answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from builder.data.dataset import Dataset, open_dataset
from builder.evalset.drawing import balanced_order, draw
from builder.outcome import Outcome, Status
from contract.bundleset import read_set, verify_member
from contract.evalset import EVALSET_NAME, Evalset

Build = Callable[..., list[Outcome]]

BASE_ONLY = 'name = "one"\n[[variants]]\n'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe of the base alone."""
    path = tmp_path_factory.mktemp("recipe") / "one.toml"
    path.write_text(BASE_ONLY)
    return str(path)


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Classes of 9, 4 and 1 validation images, each image of a size of its own."""
    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        for label, count in (("ape", 9), ("bat", 4), ("cow", 1)):
            for number in range(count):
                path = tmp_path / "photos" / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                size = (8 + number, 8, 3)
                Image.fromarray(noise.integers(0, 256, size, dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def folders(dataset: Dataset, places: list[int]) -> Counter[str]:
    """How many of each class."""
    return Counter(dataset.val[place].path.parent.name for place in places)


def entry(folder: Path) -> Evalset:
    """What `set.json` says of the evaluation set."""
    found = read_set(folder).evalset
    assert isinstance(found, Evalset)
    return found


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """Arrays of the evaluation set, whose hash holds."""
    with np.load(verify_member(folder, entry(folder)), allow_pickle=False) as archive:
        return dict(archive)


def test_every_beginning_is_balanced_over_the_classes(uneven: Path) -> None:
    """Classes differ by at most one image until one has no more."""
    dataset = open_dataset(uneven)
    order = balanced_order(dataset)
    assert sorted(order) == list(range(14))
    for n in range(15):
        found = folders(dataset, order[:n])
        for label, has in (("ape", 9), ("bat", 4), ("cow", 1)):
            fair = min(has, max(found.values(), default=0) - 1)
            assert found[label] >= fair


def test_the_order_is_that_of_the_names_alone(uneven: Path, tmp_path: Path) -> None:
    """Another place, another time and other pixels make no difference; nor is it sorted."""
    dataset = open_dataset(uneven)
    order = balanced_order(dataset)
    assert order != sorted(order)
    moved = tmp_path / "elsewhere"
    uneven.rename(moved)
    for path in moved.rglob("*.png"):
        path.write_bytes(path.read_bytes() + b"more")
    assert balanced_order(open_dataset(moved)) == order


def test_many_classes_are_met_by_chance_and_not_by_the_alphabet(tmp_path: Path) -> None:
    """With fewer images than classes, neighbours in the list of classes are not favoured."""
    for split in ("train", "val"):
        for number in range(200):
            (tmp_path / split / f"{number:03}").mkdir(parents=True)
            (tmp_path / split / f"{number:03}" / "a.png").touch()
    first = sorted(balanced_order(open_dataset(tmp_path))[:50])
    assert len(first) == 50
    assert first[0] < 40
    assert first[-1] > 160


def test_files_come_as_they_are_and_within_the_limits(
    uneven: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Too many pixels: passed over. No more room: the end."""
    dataset = open_dataset(uneven)
    order = balanced_order(dataset)
    whole = draw(dataset, 200)
    assert list(whole.positions) == order
    assert [dataset.val[p].path.read_bytes() for p in whole.positions] == list(whole.files)
    assert list(draw(dataset, 5).positions) == order[:5]
    assert not caplog.records

    small = draw(dataset, 14, max_pixels=12 * 8)
    fitting = [p for p in order if int(dataset.val[p].path.stem) <= 4]
    assert list(small.positions) == fitting
    room = sum(map(len, whole.files[:6])) + 10
    assert draw(dataset, 14, max_bytes=room).files == whole.files[:6]
    assert "6 images instead of 14" in caplog.text


def test_a_build_puts_labelled_images_into_the_set(
    build: Build, data: Path, recipe: str, tmp_path: Path
) -> None:
    """Every class, original bytes, and a second network's answers beside the first one's."""
    build("chain", out=tmp_path, recipe=recipe)
    first = entry(tmp_path)
    assert (first.images, first.wanted, first.dataset, first.drawn_from) == (12, 200, data.name, 12)

    build("LongSkip", out=tmp_path, recipe=recipe)
    found = arrays(tmp_path)
    val = open_dataset(data).val
    assert set(found) == {"files", "offsets", "positions", "answers_chain", "answers_longskip"}
    for n, position in enumerate(found["positions"]):
        content = found["files"][found["offsets"][n] : found["offsets"][n + 1]].tobytes()
        assert content == val[position].path.read_bytes()
        assert found["answers_chain"][n].tolist() == [val[position].folder]
    assert np.array_equal(found["answers_chain"], found["answers_longskip"])
    assert [member.variant for member in read_set(tmp_path).members] == [
        "chain-base", "longskip-base",
    ]  # fmt: skip


def test_an_old_set_gets_one_without_building_anything(
    build: Build, recipe: str, tmp_path: Path
) -> None:
    """And a number that was asked for stays until another one is."""
    build("chain", out=tmp_path, recipe=recipe, evalset=0)
    bundle = (tmp_path / "chain-base.pt").stat().st_mtime_ns
    assert read_set(tmp_path).evalset is msgspec.UNSET
    assert b"evalset" not in (tmp_path / "set.json").read_bytes()
    assert not (tmp_path / EVALSET_NAME).exists()

    (outcome,) = build("chain", out=tmp_path, recipe=recipe, evalset=5)
    assert outcome.status is Status.UNCHANGED
    assert (tmp_path / "chain-base.pt").stat().st_mtime_ns == bundle
    assert entry(tmp_path).images == 5

    written = (tmp_path / EVALSET_NAME).stat().st_mtime_ns
    build("chain", out=tmp_path, recipe=recipe)
    assert (tmp_path / EVALSET_NAME).stat().st_mtime_ns == written

    (tmp_path / EVALSET_NAME).write_bytes(b"edited")
    build("chain", out=tmp_path, recipe=recipe)
    assert len(arrays(tmp_path)["positions"]) == 5

    build("chain", out=tmp_path, recipe=recipe, evalset=0)
    assert read_set(tmp_path).evalset is msgspec.UNSET
    assert not (tmp_path / EVALSET_NAME).exists()


def test_without_labels_the_bases_answers_are_right_and_other_data_take_over(
    build: Build, flat_data: Path, recipe: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Answers of networks that saw other images are dropped, and that is said."""
    build("chain", out=tmp_path, recipe=recipe)
    (outcome,) = build("LongSkip", out=tmp_path, recipe=recipe, root=flat_data)
    found = arrays(tmp_path)
    assert entry(tmp_path).dataset == flat_data.name
    assert set(found) == {"files", "offsets", "positions", "answers_longskip"}
    assert found["answers_longskip"].shape == (8, 1)
    assert set(found["answers_longskip"].ravel()) <= {0, 1, 2}
    assert outcome.manifest is not None
    assert "build chain again" in caplog.text
