"""Counting right answers on this device: the order, the time, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from agent.accuracy import spare_the_timing, with_accuracy
from agent.errors import NetworkError
from agent.examination import examine
from agent.golden import GoldenVectors
from agent.protocol import Examination, Examined, Measured
from agent.subject import Subject
from agent.supervisor import Outcome
from contract.benchmark import RunStatus
from contract.bundle import read_manifest
from contract.interval import pack_hits
from contract.manifest import Accuracy
from support.evalsets import BLUE, GREEN, RED, coloured, evalset_arrays, write_evalset
from support.measurements import make_run

LISTED = 9
POSITIONS = [8, 0, 3, 5]


class Brightest:
    """A network by numpy alone: the mean of each channel, and something dark."""

    engine = None

    def logits(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits [N, 4]."""
        means = images.mean(axis=(2, 3))
        return np.concatenate([means, np.full((len(images), 1), -9.0, np.float32)], axis=1)

    @contextmanager
    def repeating(self, images: npt.NDArray[np.float32]) -> Iterator[Callable[[], object]]:
        """Logits again and again."""
        yield lambda: self.logits(images)


class Failing(Brightest):
    """Fails on a green image."""

    def logits(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Raise, or answer."""
        if images[0].mean(axis=(1, 2)).argmax() == GREEN:
            raise NetworkError("green is too much")
        return super().logits(images)


@pytest.fixture
def subject(good_set: Path) -> Callable[..., Subject]:
    """A network whose builder had some images of its list right."""
    manifest = read_manifest(good_set / "tiny-base.pt")

    def make(hits: list[bool] | None, network: Brightest | None = None) -> Subject:
        accuracy = Accuracy(
            kind=manifest.accuracy.kind, top1=0.5, top3=0.5, top5=0.5, images=LISTED,
            dataset="noise", hits=None if hits is None else pack_hits(hits),
        )  # fmt: skip
        vectors = GoldenVectors(images=np.zeros((1, 2, 2, 3), np.uint8), logits=np.zeros((1, 4)))
        papers = msgspec.structs.replace(manifest, accuracy=accuracy)
        return Subject(papers, [], vectors, network or Brightest())

    return make


@pytest.fixture
def task(tmp_path: Path) -> Examination:
    """Four images: right, wrong but among three, not among three, right."""
    files = [coloured(RED), coloured(GREEN), coloured(BLUE), coloured(BLUE)]
    arrays = evalset_arrays(files, {"tiny": [[RED], [BLUE], [3], [BLUE]]}, POSITIONS)
    write_evalset(tmp_path, arrays, drawn_from=LISTED)
    return Examination(
        path=str(tmp_path / "evalset.npz"), dataset="noise", drawn_from=LISTED, max_seconds=60.0
    )


def test_images_are_compared_one_by_one_with_the_builders_hits(
    subject: Callable[..., Subject], task: Examination
) -> None:
    """Each by its own place in the list: the first is the last of the list."""
    hits = [False] * LISTED
    hits[8] = hits[0] = True
    assert examine(task, subject(hits)) == Examined(
        images=4, right=2, right_within_3=3, gained=1, lost=1
    )


@pytest.mark.parametrize(
    "change", [{"dataset": "another"}, {"drawn_from": LISTED + 1}], ids=["name", "size"]
)
def test_hits_on_another_list_are_not_compared(
    subject: Callable[..., Subject], task: Examination, change: dict[str, object]
) -> None:
    """The bits would be of other images; and a bundle may have none."""
    other = msgspec.structs.replace(task, **change)
    found = examine(other, subject([True] * LISTED))
    assert (found.images, found.right, found.gained, found.lost) == (4, 2, None, None)
    assert examine(task, subject(None)).gained is None


def test_when_the_time_is_up_the_images_so_far_count(
    subject: Callable[..., Subject], task: Examination
) -> None:
    """At least one, and no further one is begun."""
    seconds = iter([100.0, 130.0, 160.0, 190.0, 220.0])
    found = examine(task, subject([True] * LISTED), now_s=lambda: next(seconds))
    assert (found.images, found.right, found.lost) == (2, 1, 1)
    hurried = msgspec.structs.replace(task, max_seconds=0.001)
    assert examine(hurried, subject(None), now_s=iter([0.0, 9.0]).__next__).images == 1


def test_an_image_that_cannot_be_read_here_does_not_count(
    subject: Callable[..., Subject], task: Examination, tmp_path: Path
) -> None:
    """Damaged, no image, or long and narrow: it is neither right nor wrong."""
    files = [coloured(RED)[:40], b"no image", coloured(RED), coloured(RED, size=(300_000, 1))]
    arrays = evalset_arrays(files, {"tiny": [[RED]] * 4}, POSITIONS)
    write_evalset(tmp_path, arrays, drawn_from=LISTED)
    found = examine(task, subject(None))
    assert (found.images, found.right, found.skipped, found.problem) == (1, 1, 3, None)
    run = with_accuracy(make_run(), found)
    assert run.notes == ["3 images of the evaluation set could not be read here"]


@pytest.mark.parametrize("why", ["the network fails", "the file is gone", "no answers"])
def test_what_goes_wrong_is_told_and_nothing_is_counted(
    subject: Callable[..., Subject], task: Examination, why: str
) -> None:
    """The measurement that came before is none the worse for it."""
    network = Failing() if why == "the network fails" else None
    one = subject(None, network)
    if why == "the file is gone":
        Path(task.path).unlink()
    if why == "no answers":
        one = Subject(msgspec.structs.replace(one.manifest, architecture="vgg19"), [], *[
            one.vectors, one.network])  # fmt: skip
    found = examine(task, one)
    told = {"the network fails": "too much", "the file is gone": "No such file",
            "no answers": "answers_vgg19"}[why]  # fmt: skip
    assert found.images == 0
    assert told in str(found.problem)
    run = with_accuracy(make_run(), found)
    assert (run.device_top1, run.device_images) == (None, None)
    assert run.notes[0].startswith("accuracy was not measured on this device: ")


@pytest.mark.parametrize(
    ("gained", "lost", "is_noted"), [(0, 3, False), (0, 8, True), (9, 1, True), (9, 5, False)]
)
def test_a_difference_beyond_chance_is_noted_either_way(
    gained: int, lost: int, *, is_noted: bool
) -> None:
    """Three of 200 the one way may be chance; eight are not, unless others went the other way."""
    found = Examined(images=200, right=160, right_within_3=190, gained=gained, lost=lost)
    run = with_accuracy(make_run(), found)
    assert (run.device_top1, run.device_top3) == (0.8, 0.95)
    assert [note.startswith("accuracy on this device differs") for note in run.notes] == (
        [True] if is_noted else []
    )


def test_a_worker_that_dies_over_a_picture_has_measured_all_the_same() -> None:
    """One that dies before has not."""
    measured = Measured(
        samples_ms=[1.0] * 6, preprocess_ms=0.1, postprocess_ms=0.1, steady_rss_bytes=1,
        peak_rss_bytes=1, foreign_load=None,
    )  # fmt: skip
    death = Outcome(
        status=RunStatus.OOM, reason="held 500 MB", events=[measured], duration_s=1.0,
        seen_rss_bytes=1, limit_kind=None,
    )  # fmt: skip
    spared = spare_the_timing(death)
    assert (spared.status, spared.reason) == (RunStatus.OK, None)
    examined = spared.last_event(Examined)
    assert examined is not None
    assert examined.problem == "oom: held 500 MB"
    early = Outcome(
        status=RunStatus.OOM, reason="held 500 MB", events=[], duration_s=1.0, seen_rss_bytes=1,
        limit_kind=None,
    )  # fmt: skip
    assert spare_the_timing(early) is early
