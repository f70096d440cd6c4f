"""Weights from files, from seeds and from torchvision's store."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.errors import WeightsError
from builder.networks import vision
from builder.networks.architectures import Architecture, resolve
from builder.networks.weights import find_weights
from builder.progress import Silence
from contract.manifest import Interpolation

Tiny = Callable[[str], Architecture]


def _save(network: nn.Module, path: Path) -> Path:
    torch.save(network.state_dict(), path)
    return path


def _same(one: nn.Module, other: nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return all(torch.equal(left[name], right[name]) for name in left)


def test_random_weights_follow_their_seed(tiny: Tiny) -> None:
    weights = find_weights("none", tiny("Joined"), Silence())

    assert _same(weights.network(3, seed=7), weights.network(3, seed=7))
    assert not _same(weights.network(3, seed=7), weights.network(3, seed=8))


def test_random_weights_leave_torchs_own_generator_alone(tiny: Tiny) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)

    find_weights("none", tiny("Joined"), Silence()).network(3, seed=7)

    assert torch.equal(torch.rand(1), expected)


def test_a_state_dict_is_loaded_and_tells_the_width_of_the_output(
    tiny: Tiny, tmp_path: Path
) -> None:
    network = tiny("Joined").create(5)
    path = _save(network, tmp_path / "joined.pt")

    weights = find_weights(str(path), tiny("Joined"), Silence())

    assert weights.classes == 5
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert _same(weights.network(None, seed=0), network)


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_a_checkpoint_around_the_state_dict_is_opened(
    tiny: Tiny, tmp_path: Path, wrapper: str
) -> None:
    network = tiny("chain").create(4)
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"epoch": 3, wrapper: state}, tmp_path / "checkpoint.pt")

    weights = find_weights(str(tmp_path / "checkpoint.pt"), tiny("chain"), Silence())

    assert _same(weights.network(4, seed=0), network)


def test_half_precision_weights_become_fp32(tiny: Tiny, tmp_path: Path) -> None:
    path = _save(tiny("chain").create(3).half(), tmp_path / "half.pt")

    network = find_weights(str(path), tiny("chain"), Silence()).network(3, seed=0)

    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_weights_of_another_network_are_refused_by_name(tiny: Tiny, tmp_path: Path) -> None:
    path = _save(resolve("resnet18", search_path=tmp_path).create(3), tmp_path / "resnet18.pt")

    with pytest.raises(WeightsError, match=r"does not fit resnet34: missing: layer1\.2\.bn1\.bias"):
        find_weights(str(path), resolve("resnet34", search_path=tmp_path), Silence())
    with pytest.raises(WeightsError, match=r"not the weights of chain: .*the file has conv1"):
        find_weights(str(path), tiny("chain"), Silence())


def test_auxiliary_heads_in_a_file_are_left_out(tmp_path: Path) -> None:
    network = resolve("googlenet", search_path=tmp_path).create(3)
    state = network.state_dict() | {"aux1.fc1.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "googlenet.pt")

    weights = find_weights(
        str(tmp_path / "googlenet.pt"), resolve("googlenet", search_path=tmp_path), Silence()
    )

    assert _same(weights.network(3, seed=0), network)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "expected a state dict"), (b"no zip and no pickle", "expected a state dict")],
)
def test_a_file_that_holds_no_weights_is_refused(
    tiny: Tiny, tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(content)

    with pytest.raises(WeightsError, match=complaint):
        find_weights(str(path), tiny("chain"), Silence())


def test_a_pickled_network_is_not_run(tiny: Tiny, tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "network.pt")

    with pytest.raises(WeightsError, match="expected a state dict"):
        find_weights(str(tmp_path / "network.pt"), tiny("chain"), Silence())


def test_refusals_of_files_give_no_dangerous_advice(
    tiny: Tiny, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    (tmp_path / "garbage.pt").write_bytes(b"no zip and no pickle")
    torch.save(nn.Linear(2, 2), tmp_path / "network.pt")
    torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "bundle.pt"))

    for name, complaint in (
        ("garbage.pt", "holds something else than tensors"),
        ("network.pt", "holds something else than tensors"),
        ("bundle.pt", "is a bundle or another TorchScript file"),
    ):
        with pytest.raises(WeightsError, match=complaint) as caught:
            find_weights(str(tmp_path / name), tiny("chain"), Silence())
        assert "weights_only" not in str(caught.value)
    assert not [str(w.message) for w in recwarn if "torch.load" in str(w.message)]


def test_an_empty_file_is_called_unreadable(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "empty.pt").touch()

    with pytest.raises(WeightsError, match=r"empty.pt: cannot be read \(\w+"):
        find_weights(str(tmp_path / "empty.pt"), tiny("chain"), Silence())


def test_a_missing_file_says_what_could_stand_there(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="expected 'default', 'none' or a readable file"):
        find_weights("/nowhere/weights.pt", tiny("chain"), Silence())


def test_nobody_publishes_weights_for_the_users_own_network(tiny: Tiny) -> None:
    with pytest.raises(WeightsError, match="chain; use --weights FILE or none"):
        find_weights("default", tiny("chain"), Silence())


def test_other_classes_keep_all_but_the_last_layer(tiny: Tiny, tmp_path: Path) -> None:
    network = tiny("Joined").create(5)
    weights = find_weights(str(_save(network, tmp_path / "five.pt")), tiny("Joined"), Silence())

    grown = weights.network_with_new_head(8, seed=0).state_dict()

    assert grown["head.fc.weight"].shape == (8, 40)
    kept = {name for name, value in network.state_dict().items() if torch.equal(grown[name], value)}
    assert set(grown) - kept == {"head.fc.weight", "head.fc.bias"}


def _published(path: Path, digest: str) -> vision.PublishedWeights:
    return vision.PublishedWeights(
        name="Chain_Weights.IMAGENET1K_V1",
        url=f"https://weights.invalid/{path.stem}-{digest[:8]}.pth",
        input_size=224,
        resize_size=256,
        interpolation=Interpolation.BILINEAR,
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
    )


def test_published_weights_in_a_file_are_recognised_by_their_hash(
    tiny: Tiny, tmp_path: Path
) -> None:
    path = _save(tiny("chain").create(3), tmp_path / "copied.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    architecture = dataclasses.replace(tiny("chain"), published=_published(path, digest))

    assert find_weights(str(path), architecture, Silence()).published == architecture.published
    assert find_weights(str(path), tiny("chain"), Silence()).published is None


def test_published_weights_that_are_here_already_need_no_network(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    path = _save(tiny("chain").create(3), tmp_path / "chain.pt")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    published = _published(path, digest)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    place = path.rename(tmp_path / "hub" / "checkpoints" / published.file_name)
    architecture = dataclasses.replace(tiny("chain"), published=published)

    weights = find_weights("default", architecture, Silence())

    assert (weights.path, weights.published) == (place, published)
    place.write_bytes(place.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="SHA-256 differs"):
        find_weights("default", architecture, Silence())
