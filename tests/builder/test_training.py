"""The `train` command's work, from images to a weights file."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from builder.data.standardization import Standardization
from builder.errors import DataError, TuningError
from builder.networks.architectures import Architecture
from builder.networks.weights import find_weights
from builder.progress import Silence
from builder.training import Trained, TrainRequest, train
from contract.files import sha256_of
from contract.manifest import AccuracyKind

NETWORKS = Path(__file__).with_name("own")


@pytest.fixture
def request_of(data: Path, tmp_path: Path) -> TrainRequest:
    return TrainRequest(
        architecture="tiny_networks:Joined",
        data=data,
        out=tmp_path / "new" / "joined.pt",
        weights="none",
        input_size=16,
        epochs=8,
        batch_size=8,
        learning_rate=1e-2,
        seed=0,
    )


def _train(request: TrainRequest, **changes: object) -> Trained:
    return train(dataclasses.replace(request, **changes), search_path=NETWORKS, progress=Silence())


def test_a_place_that_cannot_be_written_is_refused_before_the_training(
    request_of: TrainRequest,
) -> None:
    with pytest.raises(OSError, match="/proc"):
        _train(request_of, out=Path("/proc/joined.pt"), epochs=10**9)


def test_a_network_learns_and_its_weights_are_written_as_a_plain_state_dict(
    request_of: TrainRequest, tiny: Callable[[str], Architecture]
) -> None:
    trained = _train(request_of)

    assert trained.accuracy.kind is AccuracyKind.LABELS
    assert trained.accuracy.top1 >= 0.9
    assert trained.classes == ["blue", "green", "red"]
    assert (trained.bytes, trained.sha256) == (
        request_of.out.stat().st_size,
        sha256_of(request_of.out),
    )
    state = torch.load(request_of.out, weights_only=True)
    tiny("Joined").create(3).load_state_dict(state)


def test_training_goes_on_from_given_weights(request_of: TrainRequest, tmp_path: Path) -> None:
    first = _train(request_of)

    second = _train(
        request_of, weights=str(request_of.out), out=tmp_path / "on.pt", epochs=1,
        learning_rate=1e-6,
    )  # fmt: skip

    assert second.loss < 2 * first.loss


def test_weights_for_other_classes_keep_all_but_their_last_layer(
    request_of: TrainRequest, data: Path, tmp_path: Path, tiny: Callable[[str], Architecture]
) -> None:
    _train(request_of)
    two = tmp_path / "two"
    for split in ("train", "val"):
        for label in ("green", "red"):
            shutil.copytree(data / split / label, two / split / label)

    trained = _train(request_of, data=two, weights=str(request_of.out), out=tmp_path / "two.pt")

    assert trained.classes == ["green", "red"]
    assert find_weights(str(tmp_path / "two.pt"), tiny("Joined"), Silence()).classes == 2


def test_images_without_labels_cannot_be_trained_on(
    request_of: TrainRequest, flat_data: Path
) -> None:
    with pytest.raises(DataError, match="training needs labels"):
        _train(request_of, data=flat_data)


def test_an_old_file_stays_where_training_fails(request_of: TrainRequest, tmp_path: Path) -> None:
    out = tmp_path / "old.pt"
    out.write_bytes(b"old")

    with pytest.raises(TuningError):
        _train(request_of, out=out, learning_rate=1e38)

    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_bad_images_are_skipped_by_name(
    request_of: TrainRequest, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "data"
    shutil.copytree(data, root)
    (root / "train" / "red" / "0.png").write_bytes(b"")
    Image.new("RGB", (40, 30)).save(root / "train" / "red" / "wide.bmp")

    _train(request_of, data=root, epochs=1)

    assert "skipped train/red/0.png" in caplog.text
    assert "wide.bmp" not in caplog.text


def test_the_weights_file_says_how_to_feed_the_network(
    request_of: TrainRequest, tiny: Callable[[str], Architecture], tmp_path: Path
) -> None:
    own = Standardization(mean=(0.4, 0.5, 0.6), std=(0.5, 0.5, 0.5))
    trained = _train(request_of, standardization=own, epochs=1)
    assert (trained.preprocessing.mean, trained.preprocessing.std) == (own.mean, own.std)

    weights = find_weights(str(request_of.out), tiny("Joined"), Silence())
    further = _train(
        request_of, weights=str(request_of.out), input_size=None, epochs=1, out=tmp_path / "b.pt"
    )

    assert weights.input_rule == trained.preprocessing == further.preprocessing
