"""The reason of a failure is found among all that pip and other tools print."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleet.deploy.failure_reason import FULL_DISK, reason_of
from fleet.deploy.ssh import Ssh
from fleet.errors import RemoteError
from support.box import PYTHON, Box
from support.faults.filesystems import small_disk

WARNINGS = "\n".join(f"WARNING: There was an error number {number}" for number in range(40))
FULL = "Could not install packages due to an OSError: [Errno 28] No space left on device"


CRASH = f"""\
ERROR: Exception:
Traceback (most recent call last):
  File 'x', line 3
    y()
OSError: [Errno 28] No space left on device
{WARNINGS}
"""
GOES_ON = "ERROR: pip's dependency resolver does not currently take into account all\n"


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (f"ERROR: {FULL}\n\n{WARNINGS}\n  more of it\n", f"{FULL}; {FULL_DISK}"),
        (f"{WARNINGS}\nERROR: {FULL}\n", f"{FULL}; {FULL_DISK}"),
        (CRASH, f"OSError: [Errno 28] No space left on device; {FULL_DISK}"),
        (f"{GOES_ON}ERROR: no such luck\n", "no such luck"),
        ("x.py:3: UserWarning: old\n  warn()\nno such luck\n", "no such luck"),
        ("first\nsecond\n", "first\nsecond"),
        ("", "it said nothing"),
        ("\x1b[31mred\n", "\\x1b[31mred"),
    ],
)
def test_remarks_do_not_hide_the_error(errors: str, reason: str) -> None:
    assert reason_of(errors) == reason


def test_an_index_that_is_not_reached_is_told_from_one_that_lacks_a_version() -> None:
    missing = "ERROR: No matching distribution found for torch==9\n"
    retries = "WARNING: Retrying after connection broken by 'NewConnectionError'\n"
    assert "no such version" in reason_of(missing)
    assert "--wheelhouse" in reason_of(retries + missing)


def test_remarks_alone_and_standard_output_are_better_than_nothing() -> None:
    assert reason_of("WARNING: odd\n") == "WARNING: odd"
    assert reason_of("WARNING: odd\n", "no such luck\n") == "no such luck"


def test_pip_on_a_full_disk_says_so(make_box: Callable[..., Box], tmp_path: Path) -> None:
    """A real pip, a real wheel, and a file system that is too small for what is in it."""
    box = make_box()
    wheel = fat_wheel(tmp_path)
    with small_disk(tmp_path / "small", size_bytes=40_000_000) as disk:
        venv = disk.path / "venv"
        script = "\n".join(
            [
                f"{PYTHON} -P -m venv {venv}",
                f"mkdir {disk.path}/scratch",
                f"export TMPDIR={disk.path}/scratch",
                f"{venv}/bin/python -P -m pip install --quiet --no-index {wheel}",
            ]
        )
        with (
            Ssh(box.sshd.target, config=box.sshd.client_config) as ssh,
            pytest.raises(RemoteError) as raised,
        ):
            ssh.run(script)
    assert "No space left on device" in str(raised.value)
    assert FULL_DISK in str(raised.value)


def fat_wheel(folder: Path) -> Path:
    source = folder / "source"
    (source / "fat").mkdir(parents=True)
    (source / "fat/__init__.py").touch()
    (source / "fat/data").write_bytes(os.urandom(60_000_000))
    name = "fat-1.0-py3-none-any"
    info = source / "fat-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fat\nVersion: 1.0\n")
    (info / "WHEEL").write_text(
        "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    (info / "RECORD").write_text(
        "".join(f"{p.relative_to(source)},,\n" for p in source.rglob("*") if p.is_file())
    )
    made = shutil.make_archive(str(folder / name), "zip", source)
    return Path(made).rename(folder / f"{name}.whl")
