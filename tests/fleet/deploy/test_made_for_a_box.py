"""What is made here for a box: the systemd unit, the wheel, and the choice of packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from fleet.authority.authority import Authority
from fleet.authority.credentials import write_credentials
from fleet.deploy.box import Box, Python
from fleet.deploy.credentials import accept, credentials_for, is_needed
from fleet.deploy.layout import Layout, system_layout, user_layout
from fleet.deploy.order import Order
from fleet.deploy.release import COUNT_GPU_PACKAGES, WANTS_GPU, Release, find_source
from fleet.deploy.unit import unit_text
from fleet.deploy.wheel import pack_wheel
from fleet.errors import DeployError, OrderError, UnsuitableBoxError

PI = Box(
    user="pi",
    uid=1000,
    home="/home/pi",
    host="Press-03.local",
    machine="aarch64",
    now=0,
    sudo="free",
    systemd=252,
    ram_bytes=4_000_000_000,
    board="Raspberry Pi 4 Model B Rev 1.4",
    has_firmware=True,
    has_user_systemd=True,
)
PC = msgspec.structs.replace(PI, machine="x86_64", has_firmware=False, systemd=257, board=None)
ARM_PYTHON = Python(
    path="/usr/bin/python3",
    machine="aarch64",
    pointer_bits=64,
    version=(3, 11, 2),
    libc=("glibc", "2.36"),
    has_venv=True,
)
X86_PYTHON = msgspec.structs.replace(ARM_PYTHON, machine="x86_64")


def verify(folder: Path, layout: Layout, box: Box) -> str:
    """What systemd finds wrong with a unit whose program and folders are there."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt install systemd")
    unit = folder / "edgewright-agent.service"
    # Whether they exist is the box's matter: here any program, folder and user do.
    text = unit_text(layout, box)
    text = text.replace(f"{layout.current}/bin/edgewright-agent", "/bin/true")
    unit.write_text(text)
    done = subprocess.run(
        [program, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("box", [PI, PC], ids=["pi", "pc"])
def test_systemd_finds_nothing_wrong_with_the_system_unit(box: Box, tmp_path: Path) -> None:
    said = verify(tmp_path, system_layout(box), msgspec.structs.replace(box, systemd=252))
    assert "edgewright-agent" not in said


def test_systemd_finds_nothing_wrong_with_the_users_unit(tmp_path: Path) -> None:
    said = verify(tmp_path, user_layout(PI, None), PI)
    assert "edgewright-agent" not in said


def test_the_unit_leaves_a_quarter_of_the_memory_to_others() -> None:
    assert f"MemoryMax={3_000_000_000 >> 20}M" in unit_text(system_layout(PI), PI)


def test_only_a_raspberry_pi_gets_a_device() -> None:
    assert "DeviceAllow=/dev/vcio rw" in unit_text(system_layout(PI), PI)
    assert "PrivateDevices=yes" in unit_text(system_layout(PC), PC)


def test_a_kill_for_memory_does_not_end_the_agent() -> None:
    assert "OOMPolicy=continue" in unit_text(system_layout(PI), PI)


def test_settings_of_a_later_systemd_are_not_given_to_an_earlier_one() -> None:
    assert "RestartSteps" not in unit_text(system_layout(PI), PI)
    assert "RestartSteps" in unit_text(system_layout(PC), PC)
    assert "DelegateSubgroup" in unit_text(system_layout(PC), PC)


def test_a_box_without_root_is_told_about_the_users_install() -> None:
    with pytest.raises(DeployError, match="--user"):
        system_layout(msgspec.structs.replace(PI, sudo="none"))


def test_a_host_name_becomes_an_identifier() -> None:
    assert PI.device_id == "press-03"
    assert msgspec.structs.replace(PI, host="__Ärger!").device_id == "__-rger"


def test_the_wheel_installs_and_is_what_runs_here(tmp_path: Path) -> None:
    name, content = pack_wheel()
    assert pack_wheel() == (name, content)
    (tmp_path / name).write_bytes(content)
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
         "--target", tmp_path / "there", tmp_path / name],
        check=True,
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-P", "-m", "agent", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "there")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("edgewright-agent, version ")
    with zipfile.ZipFile(tmp_path / name) as archive:
        assert archive.testzip() is None
        assert not [one for one in archive.namelist() if "__pycache__" in one]


def release_for(python: Python, **options: object) -> Release:
    given: dict[str, object] = {
        "wheel": None,
        "constraints": None,
        "wheelhouse": None,
        "torch_index": None,
        "system_packages": False,
    }
    return Release(source=find_source(**given | options), python=python)  # type: ignore[arg-type]


def test_a_raspberry_pi_gets_the_torch_that_runs_there() -> None:
    release = release_for(ARM_PYTHON)
    assert "torch==2.9.1" in release.requirements(PurePosixPath("/x"))
    constraints = release.constraints.splitlines()
    assert [line for line in constraints if line.startswith("torch")] == [
        "torch-pruning==1.6.1",
        "torch==2.9.1",
    ]


def test_a_pc_stops_before_packages_for_a_gpu_are_fetched() -> None:
    layout = system_layout(PC)
    assert "--dry-run" in release_for(X86_PYTHON).install_script(layout)
    assert "--dry-run" not in release_for(ARM_PYTHON).install_script(layout)
    indexed = release_for(X86_PYTHON, torch_index="https://index.example").install_script(layout)
    assert "--dry-run" not in indexed
    assert "--extra-index-url https://index.example" in indexed


def test_a_wheelhouse_is_the_only_place_that_wheels_come_from(tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="expected wheels"):
        release_for(X86_PYTHON, wheelhouse=tmp_path)
    (tmp_path / "a-1-py3-none-any.whl").touch()
    script = release_for(X86_PYTHON, wheelhouse=tmp_path).install_script(system_layout(PC))
    assert "--no-index --find-links /opt/edgewright/incoming/wheelhouse" in script


def test_the_same_ingredients_make_the_same_release() -> None:
    assert release_for(ARM_PYTHON).name == release_for(ARM_PYTHON).name
    assert release_for(ARM_PYTHON).name != release_for(X86_PYTHON).name


def test_a_second_python_is_taken_where_the_first_does_not_fit() -> None:
    old = msgspec.structs.replace(ARM_PYTHON, path="/usr/bin/python3", version=(3, 9, 2))
    new = msgspec.structs.replace(ARM_PYTHON, path="/usr/bin/python3.11")
    assert msgspec.structs.replace(PI, pythons=(old, new)).suitable_python() == new
    with pytest.raises(UnsuitableBoxError, match="no python3"):
        PI.suitable_python()


@pytest.mark.parametrize(
    ("names", "code"), [(["torch", "numpy"], 0), (["torch", "nvidia-cublas"], WANTS_GPU)]
)
def test_packages_for_a_gpu_are_counted_in_pips_own_report(names: list[str], code: int) -> None:
    report = {"install": [{"metadata": {"name": name}} for name in names]}
    done = subprocess.run(
        [sys.executable, "-c", COUNT_GPU_PACKAGES],
        input=msgspec.json.encode(report),
        capture_output=True,
        check=False,
    )
    assert done.returncode == code


def order(folder: Path, **options: Path) -> Order:
    return Order(target="box", authority=folder / "authority", timeout_s=1, **options)


def test_credentials_that_were_made_before_are_used(tmp_path: Path) -> None:
    made = Authority.open(tmp_path / "authority").enroll("lab", "box")
    write_credentials(made, tmp_path / "lab-box")
    given = credentials_for(order(tmp_path, credentials=tmp_path / "lab-box"), "lab", "box")
    assert given.password == made.password
    assert not is_needed(order(tmp_path), given.password, "lab", "box")


def test_new_credentials_hold_once_they_have_arrived(tmp_path: Path) -> None:
    """Until then the box goes on with those that it has."""
    before = Authority.open(tmp_path / "authority").enroll("lab", "box")
    new = credentials_for(order(tmp_path), "lab", "box")
    assert not is_needed(order(tmp_path), before.password, "lab", "box")
    accept(order(tmp_path), new)
    assert is_needed(order(tmp_path), before.password, "lab", "box")
    assert not is_needed(order(tmp_path), new.password, "lab", "box")


def test_credentials_of_another_device_are_refused(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "authority")
    write_credentials(authority.enroll("lab", "other"), tmp_path / "lab-other")
    with pytest.raises(OrderError, match="not the password of lab/box"):
        credentials_for(order(tmp_path, credentials=tmp_path / "lab-other"), "lab", "box")
    assert is_needed(order(tmp_path), "anything", "lab", "box")
