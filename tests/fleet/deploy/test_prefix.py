"""Where `--prefix` lets an agent live: in a folder of its own, and nowhere else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import msgspec
import pytest

from fleet.deploy.box import Box as Facts
from fleet.deploy.layout import check_prefix, user_layout
from fleet.deploy.ownership import foreign_script
from fleet.errors import OrderError
from support.box import PYTHON, Box

PI = Facts(user="pi", uid=1000, home="/home/pi", host="pi", machine="aarch64", now=0, sudo="none")
#: Nothing listens there.
BROKER = "mqtt://127.0.0.1:1"


@pytest.mark.parametrize(
    "prefix",
    [
        "/", "//", "/.", "/..", "/etc/..", "//srv/x", "/srv//x", "/srv/./x", "/srv/x/..",
        "/opt", "/srv", "/data", "/root", "/etc/x", "/boot/firmware/x", "/usr/local",
        "/usr/local/bin", "/usr/share", "/usr/lib/x", "/var/lib", "/home/pi", "/home/pi/", "srv/x",
        "/srv/a\tb", "/srv/a:b",
    ],
)  # fmt: skip
def test_a_folder_with_another_use_is_refused(prefix: str) -> None:
    with pytest.raises(OrderError, match="--prefix"):
        check_prefix(prefix)


@pytest.mark.parametrize(
    "prefix", ["/srv/edgewright", "/opt/agent/", "/usr/local/edgewright", "/var/lib/x", "/root/x"]
)
def test_a_folder_of_its_own_is_taken(prefix: str) -> None:
    assert str(check_prefix(prefix)) == prefix.rstrip("/")


@pytest.mark.parametrize("home", ["/srv/people/pi", "/srv/people/pi/below"])
def test_what_holds_the_users_home_is_refused(home: str) -> None:
    """Only the box knows where that is."""
    with pytest.raises(OrderError, match="holds the home of pi"):
        user_layout(msgspec.structs.replace(PI, home=home), "/srv/people/pi")


def as_a_deploy_begins(base: Path) -> None:
    (base / "deploy.lock").write_text('{"token": "abc"}')
    (base / "releases").mkdir()


def as_a_deploy_of_before_left_it(base: Path) -> None:
    (base / "deploy.lock").touch()
    (base / "releases/0.1.0-0123456789/bin").mkdir(parents=True)
    (base / "releases/0.1.0-0123456789/bin/edgewright-agent").touch()


def as_a_removal_of_before_left_it(base: Path) -> None:
    (base / "deploy.lock").touch()
    (base / "etc").mkdir()
    (base / "etc/agent.toml").write_text(f'state_dir = "{base}/state"\n')


def as_a_full_disk_left_it(base: Path) -> None:
    (base / "deploy.lock").touch()


def as_another_deployer_left_it(base: Path) -> None:
    (base / "deploy.lock").touch()
    (base / "releases/20260101").mkdir(parents=True)
    (base / "current").symlink_to("releases/20260101")


def with_an_agent_of_elsewhere(base: Path) -> None:
    (base / "etc").mkdir()
    (base / "etc/agent.toml").write_text('state_dir = "/var/lib/other"\n')


@pytest.mark.parametrize(
    ("fill", "is_foreign"),
    [
        (lambda base: base.rmdir(), False),
        (lambda _: None, False),
        (as_a_deploy_begins, False),
        (as_a_deploy_of_before_left_it, False),
        (as_a_removal_of_before_left_it, False),
        (as_a_full_disk_left_it, False),
        (as_another_deployer_left_it, True),
        (with_an_agent_of_elsewhere, True),
        (lambda base: (base / ".git").mkdir(), True),
    ],
)
def test_a_deploy_knows_its_own_folders(
    tmp_path: Path,
    fill: Callable[[Path], object],
    is_foreign: bool,  # noqa: FBT001 - pytest passes it by name
) -> None:
    base = tmp_path / "it's"
    base.mkdir()
    fill(base)
    app = PurePosixPath(base)
    layout = user_layout(PI, None)
    layout = msgspec.structs.replace(layout, app=app, data=app, config=app / "etc")
    words = ["sh", "-c", f"set -eu\n{foreign_script(layout)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("foreign=yes\n" if is_foreign else "", "")


@pytest.fixture(scope="module")
def box(make_box: Callable[..., Box]) -> Box:
    return make_box("--user", "--python", str(PYTHON))


@pytest.mark.parametrize(
    "options", [["--broker", BROKER], ["--remove"], ["--remove", "--purge"]], ids=" ".join
)
def test_a_folder_with_other_things_in_it_stays_as_it_is(box: Box, options: list[str]) -> None:
    base = box.sshd.home / "shared"
    for name in ("etc/passwd", "state/of-others", "releases/1/one"):
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text("others'\n")
    before = sorted(base.rglob("*"))
    done = box.deploy("--prefix", base, *options)
    assert done.code == 2
    assert f"--prefix {base}: expected a folder that is empty" in done.errors
    assert sorted(base.rglob("*")) == before


def test_the_home_itself_is_refused(box: Box) -> None:
    done = box.deploy("--prefix", box.sshd.home, "--remove", "--purge")
    assert done.code == 2
    assert "holds the home" in done.errors
