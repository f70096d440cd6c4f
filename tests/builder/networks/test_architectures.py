"""Networks by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.errors import ArchitectureError
from builder.networks.architectures import Architecture, resolve
from builder.networks.probing import check_input, smallest_input, trial_network

HERE = Path()

#: Parameters with 1000 outputs, as torchvision publishes them; Inception's without its
#: auxiliary head (27,161,264 with it).
NAMED = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "inception_v3": 23_834_568,
}


@pytest.mark.parametrize("name", NAMED)
def test_a_network_of_torchvision_is_found_by_name(name: str) -> None:
    architecture = resolve(name, search_path=HERE)
    network = trial_network(architecture, 1000)

    assert architecture.name == name
    assert architecture.family == name.rstrip("0123456789_bn").removesuffix("_v")
    assert sum(parameter.numel() for parameter in network.parameters()) == NAMED[name]
    assert architecture.published is not None
    assert check_input(network, name, architecture.published.input_size) == 1000


@pytest.mark.parametrize(
    ("name", "smallest"), [("vgg19", 32), ("vgg11_bn", 32), ("resnet50", 8), ("inception_v3", 80)]
)
def test_the_smallest_input_is_found_by_trying(name: str, smallest: int) -> None:
    network = trial_network(resolve(name, search_path=HERE), 1000)

    assert smallest_input(network, 8, 224) == smallest


def test_an_input_that_is_too_small_names_the_smallest() -> None:
    network = trial_network(resolve("vgg19", search_path=HERE), 1000)

    with pytest.raises(ArchitectureError, match=r"vgg19: cannot take .* 16 px.*smallest.* 32 px"):
        check_input(network, "vgg19", 16)


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("resnet19", "resnet18"), ("vgg-19", "vgg19"), ("inceptionv3", "inception_v3")],
)
def test_an_unknown_name_gets_the_nearest_ones(asked: str, nearest: str) -> None:
    with pytest.raises(ArchitectureError, match=f"{asked}.*did you mean.*{nearest}"):
        resolve(asked, search_path=HERE)


def test_a_name_near_to_nothing_gets_the_list() -> None:
    with pytest.raises(ArchitectureError, match="known are alexnet"):
        resolve("@@@@", search_path=HERE)


def test_a_network_of_the_users_own_takes_its_factorys_name(
    tiny: Callable[[str], Architecture],
) -> None:
    architecture = tiny("Joined")

    assert (architecture.name, architecture.family) == ("joined", "tiny_networks")
    assert architecture.resizable
    assert check_input(architecture.create(5), "joined", 16) == 5
    assert not tiny("fixed_width").resizable


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("no_such_module:net", "No module named 'no_such_module'"),
        ("tiny_networks:no_such_factory", "no_such_factory"),
        ("tiny_networks:CHANNELS", "TypeError"),
        ("./tiny_networks.py:chain", "expected a module, not a file.* tiny_networks:chain"),
    ],
)
def test_a_network_that_cannot_be_imported_says_why(spec: str, complaint: str) -> None:
    with pytest.raises(ArchitectureError, match=complaint):
        resolve(spec, search_path=Path(__file__).parents[1] / "own")


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("broken", "OSError: no such luck"),
        ("not_a_network", "nn.Module"),
        ("leaving", "SystemExit: 3"),
    ],
)
def test_a_factory_that_makes_no_network_is_named(
    tiny: Callable[[str], Architecture], name: str, complaint: str
) -> None:
    with pytest.raises(ArchitectureError, match=f"{name}.*{complaint}"):
        tiny(name).create()


def test_a_network_that_gives_no_logits_is_refused(tiny: Callable[[str], Architecture]) -> None:
    with pytest.raises(ArchitectureError, match=r"pair: expected logits \[1, classes\].*got tuple"):
        check_input(tiny("pair").create(), "pair", 16)


def test_a_network_whose_forward_fails_is_refused_with_the_errors_type(
    tiny: Callable[[str], Architecture],
) -> None:
    with pytest.raises(ArchitectureError, match="16 px: KeyError: 'no such layer'"):
        check_input(tiny("forgetful").create(), "forgetful", 16)


def test_an_input_larger_than_the_memory_is_refused(
    tiny: Callable[[str], Architecture],
) -> None:
    with pytest.raises(ArchitectureError, match="cannot take an input of 2000000 px"):
        check_input(tiny("Joined").create(), "joined", 2_000_000)


def test_torchvision_imports_beside_a_torch_without_its_operators() -> None:
    """In a fresh interpreter, whichever of the two wheels is here, and for those after us."""
    check = "import builder.networks.vision; import torchvision; print(torchvision.__version__)"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
