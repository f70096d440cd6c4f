"""`edgewright-builder` as a process of its own."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from contract.bundleset import read_set

Command = Callable[..., subprocess.CompletedProcess[str]]

TWO = 'name = "two"\n[[variants]]\n[[variants]]\nquantize = "dynamic-int8"\n'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "two.toml"
    path.write_text(TWO)
    return path


def _build_arguments(data: Path, out: Path, recipe: Path | str, *networks: str) -> list[object]:
    return [
        "build", *networks, "--data", data, "--out", out, "--recipe", recipe,
        "--weights", "none", "--input-size", 16, "--no-report",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def bundles(
    command: Command, data: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A set of `chain-base` and `chain-dq8`."""
    folder = tmp_path_factory.mktemp("bundles")
    done = command(*_build_arguments(data, folder, recipe, "tiny_networks:chain"))
    assert done.returncode == 0, done.stderr
    return folder


def test_resnet18_gets_the_five_variants_end_to_end(
    command: Command, data: Path, tmp_path: Path
) -> None:
    done = command(
        "build", "resnet18", "--data", data, "--out", tmp_path, "--weights", "none",
        "--recipe", "five", "--input-size", 32, "--no-report", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    documents = {document["variant"]: document for document in json.loads(done.stdout)}
    assert set(documents) == {
        "resnet18-base", "resnet18-p10", "resnet18-dq8", "resnet18-p10-dq8", "resnet18-r24",
    }  # fmt: skip
    for variant, document in documents.items():
        assert document["file"] == f"{variant}.pt"
        assert document["bytes"] == (tmp_path / document["file"]).stat().st_size
        assert len(document["sha256"]) == 64
        assert document["classes"] == 3
    assert documents["resnet18-base"]["parameters"] == 11_178_051
    assert documents["resnet18-p10"]["parameters"] < 9_300_000
    assert documents["resnet18-dq8"]["quantization"]["scheme"] == "dynamic-int8"
    assert documents["resnet18-r24"]["preprocessing"]["resize_size"] == 24


def test_build_shows_a_table_and_one_line_a_variant(
    command: Command, data: Path, bundles: Path, recipe: Path
) -> None:
    done = command(*_build_arguments(data, bundles, recipe, "tiny_networks:chain"))

    assert done.returncode == 0
    for column in ("variant", "parameters", "MACs", "size MB", "top-1", "top-3", "status"):
        assert column in done.stdout
    assert "unchanged chain-base: built before from the same inputs" in done.stderr
    assert "chain-dq8" in done.stdout


def test_list_prints_manifests_with_what_the_set_vouches_for(
    command: Command, bundles: Path
) -> None:
    done = command("list", bundles, "--json")

    assert done.returncode == 0
    documents = json.loads(done.stdout)
    assert [d["variant"] for d in documents] == ["chain-base", "chain-dq8"]
    members = read_set(bundles).members
    assert [d["sha256"] for d in documents] == [member.sha256 for member in members]
    assert "baseline" in command("list", bundles).stdout


def test_list_names_an_edited_bundle_and_lists_the_others(
    command: Command, bundles: Path, tmp_path: Path
) -> None:
    for path in bundles.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    content = bytearray((tmp_path / "chain-dq8.pt").read_bytes())
    content[1000] ^= 1
    (tmp_path / "chain-dq8.pt").write_bytes(content)

    done = command("list", tmp_path, "--json")

    assert done.returncode == 1
    assert [d["variant"] for d in json.loads(done.stdout)] == ["chain-base"]
    assert "chain-dq8.pt" in done.stderr
    assert "truncated or edited" in done.stderr


def test_inspect_shows_the_manifest_and_every_block(command: Command, bundles: Path) -> None:
    shown = command("inspect", bundles / "chain-base.pt").stdout
    document = json.loads(command("inspect", bundles / "chain-base.pt", "--json").stdout)

    assert "chain-base" in shown
    for block in document["blocks"]:
        assert block["name"] in shown
        assert f"{block['macs']:,}" in shown
    assert document["bytes"] == (bundles / "chain-base.pt").stat().st_size


def test_looking_at_bundles_imports_no_torch(bundles: Path) -> None:
    check = (
        "import sys; from click.testing import CliRunner; from builder.cli import cli\n"
        "for words in (['--help'], ['build', '--help'], ['report', '--help'],"
        " ['list', sys.argv[1]], ['inspect', sys.argv[1] + '/chain-base.pt']):\n"
        "    result = CliRunner().invoke(cli, words)\n"
        "    assert result.exit_code == 0, result.output\n"
        "assert not {'torch', 'torchvision', 'numpy'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, str(bundles)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_a_missing_torch_ends_in_one_line_that_says_what_to_install(data: Path) -> None:
    check = (
        "import sys; sys.modules['torch'] = None\n"
        "from builder.cli import main\n"
        "sys.argv = ['edgewright-builder', 'build', 'resnet18', '--data', 'x', '--out', 'y']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False, cwd=data
    )

    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "edgewright-builder: needs the package 'torch': pip install 'edgewright[builder]'"
    ]


def test_train_then_build_from_its_weights(command: Command, data: Path, tmp_path: Path) -> None:
    weights = tmp_path / "joined.pt"
    trained = command(
        "train", "tiny_networks:Joined", "--data", data, "--epochs", 8, "--out", weights,
        "--input-size", 16, "--batch-size", 8, "--lr", 0.01, "--json",
    )  # fmt: skip
    built = command(
        "build", "tiny_networks:Joined", "--data", data, "--out", tmp_path / "set",
        "--weights", weights, "--input-size", 16, "--no-report", "--json",
    )  # fmt: skip

    assert trained.returncode == 0, trained.stderr
    top1 = json.loads(trained.stdout)["accuracy"]["top1"]
    assert top1 >= 0.9
    assert built.returncode == 0, built.stderr
    documents = {document["variant"]: document for document in json.loads(built.stdout)}
    assert len(documents) == 7
    assert documents["joined-base"]["accuracy"]["top1"] == top1
    assert documents["joined-p10-sq8"]["accuracy"]["top1"] >= 0.8


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["build", "resnet19"], "did you mean"),
        (["build", "resnet18", "--recipe", "six"], "recipe 'six'"),
        (["build", "resnet18", "--weights", "/nowhere.pt"], "readable file"),
        (["build", "vgg11", "--input-size", "16"], "smallest input it takes is 32 px"),
        (["build", "resnet18", "--input-size", "3"], "--input-size"),
        (["build"], "Missing argument"),
        (["build", "resnet18", "--seed", "99999999999999999999"], "--seed"),
        (["search", "resnet18", "--minutes", "nan"], "'nan' is not a number"),
        (["search", "resnet18", "--max-top1-drop", "nan"], "a share; 0.01 is one point"),
        (["search", "resnet18", "--max-top1-drop", "5"], "a share; 0.01 is one point"),
        (["search", "resnet18", "--engine", "x86", "--engine", "onednn"], "a search is for one"),
    ],
)
def test_wrong_use_ends_with_2_and_one_reason(
    command: Command, data: Path, tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    if "--weights" not in arguments:
        arguments = [*arguments, "--weights", "none"]

    done = command(*arguments, "--data", data, "--out", tmp_path / "set")

    assert done.returncode == 2
    assert complaint in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("arguments", [["list", "/nowhere"], ["inspect", "/nowhere.pt"]])
def test_what_is_not_there_ends_with_1(command: Command, arguments: list[str]) -> None:
    done = command(*arguments)

    assert done.returncode == 1
    assert "/nowhere" in done.stderr
    assert "No such file or directory" in done.stderr
    assert "damaged" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bundle_of_another_make_is_named_as_such(command: Command, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")

    done = command("inspect", tmp_path / "other.pt")

    assert done.returncode == 1
    assert "was not made by edgewright-builder" in done.stderr


def test_a_variant_that_cannot_be_built_ends_with_1_and_the_others_are_printed(
    command: Command, data: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "static.toml"
    recipe.write_text('name = "static"\n[[variants]]\n[[variants]]\nquantize = "static-int8"\n')

    done = command(
        *_build_arguments(data, tmp_path / "set", recipe, "tiny_networks:Choosing"), "--json"
    )

    assert done.returncode == 1
    assert [document["variant"] for document in json.loads(done.stdout)] == ["choosing-base"]
    assert "unsupported choosing-sq8: cannot capture module 'body.1' (Chooser)" in done.stderr


def test_a_file_in_the_way_of_the_workspace_is_found_before_anything_is_built(
    command: Command, data: Path, recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "set.work").touch()

    done = command(*_build_arguments(data, tmp_path / "set", recipe, "tiny_networks:chain"))

    assert done.returncode == 1
    assert f"edgewright-builder: {tmp_path / 'set.work'}: File exists" in done.stderr
    assert list((tmp_path / "set").iterdir()) == []


def test_a_spoilt_set_is_refused_with_the_way_out(
    command: Command, data: Path, recipe: Path, tmp_path: Path
) -> None:
    (tmp_path / "set.json").write_text('{"schema": 1, ')

    done = command(*_build_arguments(data, tmp_path, recipe, "tiny_networks:chain"))

    assert done.returncode == 1
    assert f"or remove {tmp_path / 'set.json'}, and all variants are built anew" in done.stderr


def test_away_from_a_terminal_a_warning_is_one_line(
    command: Command, data: Path, recipe: Path, tmp_path: Path
) -> None:
    name = f"{'long' * 30}.png"
    images = tmp_path / "images"
    shutil.copytree(data, images)
    (images / "val" / "red" / name).touch()

    done = command(*_build_arguments(images, tmp_path / "set", recipe, "tiny_networks:chain"))

    lines = [line for line in done.stderr.splitlines() if "skipped" in line]
    assert len(lines) == 1
    assert lines[0].startswith(f"WARNING skipped val/red/{name}: cannot identify image file")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_output_that_cannot_be_written_ends_with_1_and_one_line(
    bundles: Path, options: list[str]
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "builder", "list", str(bundles), *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "edgewright-builder: standard output: No space left on device"
    ]


def test_a_training_that_is_stopped_does_not_promise_to_go_on(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "joined.pt"
    with subprocess.Popen(
        [
            sys.executable, "-m", "builder", "train", "tiny_networks:Joined", "--data", str(data),
            "--epochs", "100000", "--out", str(out), "--input-size", "16",
        ],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).with_name("own"),
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "training" in line:
                break
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()

    assert process.returncode == 1
    assert f"stopped; {out} was not written, and a rerun starts anew" in rest
    assert not out.exists()


def _limit_files_to(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_disk_that_fills_up_loses_nothing_that_was_finished(
    data: Path, tmp_path: Path, recipe: Path
) -> None:
    """The limit lets `chain-base` (about 90 kB) through and stops `wide-base` (about 1.2 MB)."""
    arguments = _build_arguments(
        data, tmp_path / "set", recipe, "tiny_networks:chain", "tiny_networks:wide"
    )
    done = subprocess.run(
        [sys.executable, "-m", "builder", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).with_name("own"),
        preexec_fn=_limit_files_to(400_000),
    )

    assert done.returncode == 1
    assert "failed wide-base" in done.stderr
    assert "File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [m.variant for m in read_set(tmp_path / "set").members] == ["chain-base", "chain-dq8"]
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "chain-base.pt", "chain-dq8.pt", "evalset.npz", "set.json",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_build_that_is_stopped_keeps_what_was_finished(
    data: Path, tmp_path: Path, number: signal.Signals
) -> None:
    recipe = tmp_path / "long.toml"
    recipe.write_text(
        'name = "long"\n[tuning]\nepochs = 100000\n[[variants]]\n[[variants]]\nprune_ratio = 0.1\n'
    )
    arguments = _build_arguments(data, tmp_path / "set", recipe, "tiny_networks:Joined")
    with subprocess.Popen(
        [sys.executable, "-m", "builder", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).with_name("own"),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "tuning after pruning" in line:
                break
        time.sleep(0.2)
        process.send_signal(number)
        rest = process.stderr.read()

    assert process.returncode == 1
    assert "Traceback" not in rest
    assert [m.variant for m in read_set(tmp_path / "set").members] == ["joined-base"]
