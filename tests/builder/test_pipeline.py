"""Whole builds of small networks: what appears, what is reused, what fails alone."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from builder.bundles.torchscript import ScriptedNetwork
from builder.data.images import to_input
from builder.errors import ArchitectureError, DataError, UsageError, WeightsError
from builder.outcome import Outcome, Status
from builder.quantization.engine import engine_selected, host_engine
from contract.bundle import GOLDEN_NAME, read_extra, read_labels, read_manifest
from contract.bundleset import read_set, verify_member
from contract.manifest import AccuracyKind, Manifest, Scheme

Build = Callable[..., list[Outcome]]

BASE_AND_DYNAMIC = """
name = "two"
[[variants]]
[[variants]]
quantize = "dynamic-int8"
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe of base and dq8."""
    path = tmp_path_factory.mktemp("recipe") / "two.toml"
    path.write_text(BASE_AND_DYNAMIC)
    return str(path)


@pytest.fixture(scope="module")
def joined(build: Build, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Outcome]]:
    """The recipe `edgewright` of a network with residual and concat joins."""
    folder = tmp_path_factory.mktemp("joined")
    return folder, build("Joined", out=folder)


def _manifests(outcomes: list[Outcome]) -> dict[str, Manifest]:
    return {o.variant: o.manifest for o in outcomes if o.manifest is not None}


def _statuses(outcomes: list[Outcome]) -> dict[str, Status]:
    return {outcome.variant: outcome.status for outcome in outcomes}


def test_every_variant_of_the_recipe_is_built_and_vouched_for(
    joined: tuple[Path, list[Outcome]],
) -> None:
    folder, outcomes = joined

    assert _statuses(outcomes) == dict.fromkeys(
        [
            "joined-base", "joined-dq8", "joined-sq8", "joined-r8",
            "joined-p10", "joined-p10-dq8", "joined-p10-sq8",
        ],
        Status.BUILT,
    )  # fmt: skip
    bundle_set = read_set(folder)
    assert bundle_set.baseline == "joined-base"
    assert {member.variant for member in bundle_set.members} == set(_manifests(outcomes))
    for member in bundle_set.members:
        path = verify_member(folder, member)
        assert read_manifest(path) == _manifests(outcomes)[member.variant]
        assert read_labels(path) == ["blue", "green", "red"]
    assert not list(folder.glob("*.part"))
    assert not list(folder.glob(".*"))


def test_each_file_reproduces_its_golden_logits(joined: tuple[Path, list[Outcome]]) -> None:
    folder, outcomes = joined
    for variant, manifest in _manifests(outcomes).items():
        path = folder / f"{variant}.pt"
        with np.load(io.BytesIO(read_extra(path, GOLDEN_NAME))) as archive:
            images, logits = archive["images"], archive["logits"]
        with engine_selected(host_engine()):
            network = ScriptedNetwork.load(path)
            inputs = to_input(images, manifest.preprocessing)
            again = torch.cat([network.logits(image[None]) for image in inputs])

        size = manifest.preprocessing.input_size
        assert images.shape == (4, size, size, 3)
        assert np.allclose(logits, again.numpy(), atol=1e-4)


def test_manifests_say_what_was_done(joined: tuple[Path, list[Outcome]]) -> None:
    manifests = _manifests(joined[1])
    base, pruned = manifests["joined-base"], manifests["joined-p10"]
    both, smaller = manifests["joined-p10-sq8"], manifests["joined-r8"]

    assert base.pruning is None
    assert base.tuning is None
    assert base.quantization.scheme is Scheme.FP32
    channels_with_a_zero_offset = 4 * 16 + 20 + 20 + 10 + 30
    assert base.active_parameters == base.parameters - channels_with_a_zero_offset
    assert pruned.pruning is not None
    assert [layer.name for layer in pruned.pruning.layers] == [
        "entry.0", "residual.0", "left.0", "right.0",
    ]  # fmt: skip
    assert pruned.tuning is not None
    assert (pruned.tuning.epochs, pruned.tuning.optimizer, pruned.tuning.images) == (1, "adam", 36)
    assert pruned.parameters < base.parameters
    assert pruned.macs < base.macs
    assert both.pruning == pruned.pruning
    assert both.tuning == pruned.tuning
    assert both.quantization.engine == host_engine()
    assert both.quantization.int8_mac_share == 1.0
    assert both.quantization.calibration_images == 36
    assert smaller.preprocessing.input_size == 8
    assert smaller.parameters == base.parameters
    assert smaller.macs < base.macs / 3
    assert base.provenance.built_at == "2026-01-02T03:04:05+00:00"
    assert base.torch_versions == [str(torch.__version__)]


def test_dynamic_int8_states_the_share_of_macs_that_the_linears_are(
    joined: tuple[Path, list[Outcome]],
) -> None:
    manifest = _manifests(joined[1])["joined-dq8"]
    linear = next(block for block in manifest.blocks if block.name == "head")

    assert manifest.quantization.int8_mac_share == pytest.approx(linear.macs / manifest.macs)
    assert 0 < manifest.quantization.int8_mac_share < 0.01


def test_blocks_of_every_variant_add_up_to_its_figures(
    joined: tuple[Path, list[Outcome]],
) -> None:
    for manifest in _manifests(joined[1]).values():
        assert sum(block.parameters for block in manifest.blocks) == manifest.parameters
        assert sum(block.bytes for block in manifest.blocks) == manifest.state_dict_bytes
        assert sum(block.macs for block in manifest.blocks) == manifest.macs


def test_a_rerun_with_the_same_inputs_leaves_every_file_as_it_is(
    joined: tuple[Path, list[Outcome]], build: Build
) -> None:
    folder, _ = joined
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}

    outcomes = build("Joined", out=folder)

    assert set(_statuses(outcomes).values()) == {Status.UNCHANGED}
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_what_was_changed_or_lost_is_built_again_and_nothing_else(
    joined: tuple[Path, list[Outcome]], build: Build, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(joined[0], folder)
    (folder / "joined-dq8.pt").write_bytes(b"edited")
    (folder / "joined-r8.pt").unlink()

    statuses = _statuses(build("Joined", out=folder))

    assert [name for name, status in statuses.items() if status is Status.BUILT] == [
        "joined-dq8", "joined-r8",
    ]  # fmt: skip
    assert list(statuses.values()).count(Status.UNCHANGED) == 5


def test_other_tuning_builds_only_the_pruned_variants_again(
    joined: tuple[Path, list[Outcome]], build: Build, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(joined[0], folder)

    outcomes = build("Joined", out=folder, finetune_epochs=0)

    built = {o.variant: o.manifest for o in outcomes if o.status is Status.BUILT}
    assert set(built) == {"joined-p10", "joined-p10-dq8", "joined-p10-sq8"}
    assert all(manifest and manifest.tuning is None for manifest in built.values())


def test_other_seed_builds_everything_again(build: Build, recipe: str, tmp_path: Path) -> None:
    build("chain", out=tmp_path, recipe=recipe)

    outcomes = build("chain", out=tmp_path, recipe=recipe, seed=1)

    assert set(_statuses(outcomes).values()) == {Status.BUILT}


def test_a_network_that_decides_by_its_images_still_gets_its_other_variants(
    build: Build, tmp_path: Path
) -> None:
    with pytest.warns(torch.jit.TracerWarning):
        outcomes = build("Choosing", out=tmp_path, finetune_epochs=0)

    statuses = _statuses(outcomes)
    assert {name for name, status in statuses.items() if status is Status.UNSUPPORTED} == {
        "choosing-sq8", "choosing-p10-sq8",
    }  # fmt: skip
    assert all(
        "cannot capture module 'body.1' (Chooser) at tiny_networks.py:" in str(outcome.reason)
        for outcome in outcomes
        if outcome.status is Status.UNSUPPORTED
    )
    assert set(statuses.values()) == {Status.UNSUPPORTED, Status.BUILT}
    assert len(read_set(tmp_path).members) == 5


def test_one_group_of_variants_that_fails_leaves_the_others(build: Build, tmp_path: Path) -> None:
    outcomes = build("Grouped", out=tmp_path)

    statuses = _statuses(outcomes)
    pruned = {name for name in statuses if "p10" in name}
    assert {name for name, status in statuses.items() if status is Status.UNSUPPORTED} == pruned
    assert all(statuses[name] is Status.BUILT for name in set(statuses) - pruned)
    reason = next(str(o.reason) for o in outcomes if o.variant == "grouped-p10")
    assert "nothing to prune" in reason


def test_without_labels_agreement_with_the_base_stands_in(
    build: Build, recipe: str, flat_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = build("chain", out=tmp_path, root=flat_data, recipe=recipe)

    base, dynamic = _manifests(outcomes).values()
    assert base.accuracy.kind is AccuracyKind.AGREEMENT
    assert (base.accuracy.top1, base.accuracy.images) == (1.0, 8)
    assert dynamic.accuracy.kind is AccuracyKind.AGREEMENT
    assert dynamic.accuracy.engine == host_engine()
    assert "agreement with the base stands in for accuracy" in caplog.text


def test_agreement_is_measured_against_a_base_that_was_built_earlier(
    build: Build, recipe: str, flat_data: Path, tmp_path: Path
) -> None:
    build("chain", out=tmp_path, root=flat_data, recipe=recipe)
    (tmp_path / "chain-dq8.pt").unlink()

    outcomes = build("chain", out=tmp_path, root=flat_data, recipe=recipe)

    assert _statuses(outcomes) == {"chain-base": Status.UNCHANGED, "chain-dq8": Status.BUILT}
    assert _manifests(outcomes)["chain-dq8"].accuracy.top1 > 0.5


def test_the_first_network_gives_the_baseline_and_later_builds_keep_it(
    build: Build, recipe: str, tmp_path: Path
) -> None:
    build("chain", "LongSkip", out=tmp_path, recipe=recipe)
    build("OneByOne", out=tmp_path, recipe=recipe)

    bundle_set = read_set(tmp_path)
    assert bundle_set.baseline == "chain-base"
    assert [member.variant for member in bundle_set.members] == [
        "chain-base", "chain-dq8", "longskip-base", "longskip-dq8", "onebyone-base", "onebyone-dq8",
    ]  # fmt: skip


def test_accuracy_of_the_file_is_that_of_a_network_which_learnt_its_classes(
    build: Build, recipe: str, data: Path, tmp_path: Path, make_tiny: Callable[..., torch.nn.Module]
) -> None:
    """Built from weights whose answers are known: blue where blue is brightest, and so on."""
    network = make_tiny("AllConvolutions")
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        first, norm = network.get_submodule("first.0"), network.get_submodule("first.1")
        last = network.get_submodule("last")
        norm.weight[:3] = 1.0
        for output, channel in enumerate((2, 1, 0)):
            first.weight[output, channel, 1, 1] = 1.0
            norm.bias[output] = 3.0
            last.weight[output, output] = 1.0
    torch.save(network.state_dict(), tmp_path / "weights.pt")

    outcomes = build(
        "AllConvolutions", out=tmp_path / "set", recipe=recipe, weights=str(tmp_path / "weights.pt")
    )

    assert _statuses(outcomes) == {
        "allconvolutions-base": Status.BUILT,
        "allconvolutions-dq8": Status.UNSUPPORTED,
    }
    accuracy = _manifests(outcomes)["allconvolutions-base"].accuracy
    assert (accuracy.kind, accuracy.top1, accuracy.images) == (AccuracyKind.LABELS, 1.0, 12)
    assert accuracy.dataset == data.name


def test_an_input_without_room_below_it_is_reported_as_such(
    build: Build, flat_data: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "wide.toml"
    recipe.write_text('name = "wide"\n[[variants]]\n[[variants]]\ninput_at_224 = 220\n')

    outcomes = build("chain", out=tmp_path / "set", root=flat_data, recipe=str(recipe))

    assert outcomes[0].status is Status.UNSUPPORTED
    assert "takes no input from 16 to below its 16 px" in str(outcomes[0].reason)
    assert outcomes[1].status is Status.BUILT


@pytest.mark.parametrize(
    ("name", "error", "complaint"),
    [
        ("fixed_width", DataError, "7 outputs and train/ has 3 class folders"),
        ("pair", ArchitectureError, "expected logits"),
        ("broken", ArchitectureError, "no such luck"),
    ],
)
def test_a_request_that_cannot_be_meant_builds_nothing(
    build: Build, tmp_path: Path, name: str, error: type[UsageError], complaint: str
) -> None:
    with pytest.raises(error, match=complaint):
        build("chain", name, out=tmp_path / "set")

    assert not (tmp_path / "set").exists()


def test_two_networks_of_one_name_cannot_share_a_set(build: Build, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two variants would be named 'chain-base'"):
        build("chain", "Chain", out=tmp_path / "set")


def test_weights_that_do_not_fit_build_nothing(
    build: Build, tmp_path: Path, make_tiny: Callable[..., torch.nn.Module]
) -> None:
    torch.save(make_tiny("chain").state_dict(), tmp_path / "chain.pt")

    with pytest.raises(WeightsError, match="not the weights of joined"):
        build("Joined", out=tmp_path / "set", weights=str(tmp_path / "chain.pt"))
