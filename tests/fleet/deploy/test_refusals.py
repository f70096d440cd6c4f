"""What speaks against a deploy is said before anything on the box is changed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.deploy.order import check_target
from fleet.errors import OrderError
from support.box import PYTHON, Box

#: Nothing listens there.
BROKER = "mqtt://127.0.0.1:1"


def pretending(folder: Path, lines: str) -> Path:
    """A Python of the box that is the real one after some lines."""
    (folder / "site").mkdir()
    (folder / "site/sitecustomize.py").write_text(lines)
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexport PYTHONPATH={folder}/site\nexec {PYTHON} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.fixture(scope="module")
def box(make_box: Callable[..., Box]) -> Box:
    return make_box("--user", "--system-site-packages", "--broker", BROKER)


@pytest.fixture
def untouched(box: Box) -> Iterator[None]:
    yield
    assert list(box.sshd.home.iterdir()) == []


pytestmark = pytest.mark.usefixtures("untouched")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--site", "X Y"), "site 'X Y'"),
        (("--device", "Ü"), "device 'Ü'"),
        (("--broker", "http://fleet"), "http://fleet"),
        (("--broker-here", "fleet:1883"), "fleet:1883"),
        (("--set", "thread=[1]"), "--set thread=[1]: unknown key; did you mean 'threads'?"),
        (("--set", "threads=4"), "--set threads=4: "),
        (("--prefix", "opt"), "--prefix 'opt'"),
        (("--wheel", str(Path(__file__))), Path(__file__).name),
        (("--wheelhouse", str(Path(__file__).parent)), "wheel"),
        (("--bundles", str(Path(__file__).parent)), "set.json"),
    ],
)
def test_what_is_wrong_here_is_told_before_anybody_connects(
    box: Box, words: tuple[str, ...], said: str
) -> None:
    """Minutes later, or only on the box, is too late for a misspelt option."""
    done = box.deploy(*words)
    assert done.code in {1, 2}
    assert said in done.errors
    assert "connect" not in done.errors


def test_a_box_whose_host_key_is_not_known_is_refused(box: Box) -> None:
    box.sshd.known_hosts.write_text("")
    done = box.deploy()
    box.sshd.trust()
    assert done.code == 1
    assert "ssh does not know the box's host key" in done.errors


def test_a_box_with_another_host_key_than_before_is_refused(box: Box) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.sshd.folder / "other"], check=True
    )
    text = box.sshd.known_hosts.read_text()
    other = (box.sshd.folder / "other.pub").read_text().split()[1]
    box.sshd.known_hosts.write_text(" ".join([*text.split()[:2], other]) + "\n")
    done = box.deploy()
    box.sshd.trust()
    assert done.code == 1
    assert "another host key than the one that ssh knows" in done.errors


def test_a_box_that_takes_no_key_of_ours_is_refused(box: Box) -> None:
    done = box.deploy("--ssh-config", without_key(box))
    assert done.code == 1
    assert "takes none of your keys" in done.errors


def without_key(box: Box) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", box.sshd.folder / "stranger"],
        check=True,
    )
    config = box.sshd.folder / "stranger_config"
    config.write_text(box.sshd.client_config.read_text().replace("user_key", "stranger"))
    return config


def test_a_box_where_nothing_listens_is_named(box: Box) -> None:
    box.sshd.stop()
    done = box.deploy()
    box.sshd.start()
    assert done.code == 1
    assert "does sshd run there" in done.errors


def test_a_python_that_is_too_old_is_refused(box: Box, tmp_path: Path) -> None:
    old = pretending(tmp_path, "import sys\nsys.version_info = (3, 9, 2)\n")
    done = box.deploy("--python", old)
    assert done.code == 1
    assert "Python: expected 3.11 to 3.14, got 3.9" in done.errors


def test_a_processor_without_a_torch_is_refused(box: Box, tmp_path: Path) -> None:
    other = pretending(tmp_path, "import platform\nplatform.machine = lambda: 'armv7l'\n")
    done = box.deploy("--python", other)
    assert done.code == 1
    assert "armv7l" in done.errors
    assert "install the 64-bit system" in done.errors


def test_a_python_without_venv_is_refused_with_the_package_to_install(
    box: Box, tmp_path: Path
) -> None:
    bare = pretending(tmp_path, "import sys\nsys.modules['ensurepip'] = None\n")
    done = box.deploy("--python", bare)
    assert done.code == 1
    assert "apt install python3-venv" in done.errors


def test_a_disk_that_is_too_small_is_refused(box: Box, tmp_path: Path) -> None:
    full = pretending(
        tmp_path,
        "import collections, shutil\nU = collections.namedtuple('U', 'total used free')\n"
        "shutil.disk_usage = lambda path: U(10**9, 9 * 10**8, 10**8)\n",
    )
    done = box.deploy("--python", full)
    assert done.code == 1
    assert "disk of the box: expected 400 MB free" in done.errors
    assert "got 100 MB" in done.errors


def test_a_broker_that_the_box_cannot_reach_is_named(box: Box) -> None:
    done = box.deploy("--python", PYTHON)
    assert done.code == 1
    assert f"the box cannot reach the broker at {BROKER}" in done.errors
    assert "edgewright-fleet serve" in done.errors


def test_a_damaged_bundle_set_is_refused(box: Box, bundles: Path, tmp_path: Path) -> None:
    for path in bundles.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with (tmp_path / "tiny-b2.pt").open("ab") as file:
        file.write(b"!")
    done = box.deploy("--bundles", tmp_path)
    assert done.code == 1
    assert "tiny-b2.pt" in done.errors


def test_a_system_install_wants_systemd(box: Box) -> None:
    system = Box(box.sshd, box.tools)
    done = system.deploy("--broker", BROKER)
    assert done.code == 1
    assert "systemd does not run on the box" in done.errors
    assert "--user" in done.errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--set", "threads"], "expected KEY=VALUE"),
        (["--set", "state_dir=/tmp"], "deploy decides that itself"),
        (["--broker", "mqtt://192.0.2.1"], "expected mqtts://"),
        (["--prefix", "relative"], "expected an absolute path"),
        (["--site", "Plant 7"], "expected 1 to 64 of a-z"),
        (["--set", 'threads=[1]\nsite="x"'], "expected one value, got site beside it"),
        (["--set", "rounds=1", "--set", "rounds=2"], "--set rounds: expected each key once"),
        (["--set", "serve_host=0.0.0.0"], "can be reached from other machines"),
        (["--set", "username=x/y"], "leave it out, see --site and --device"),
        (["--set", "password_file=x"], "see --new-password and --credentials"),
        (["--set", "state_dir=x"], "see --prefix"),
        (["--set", "ca_file=x"], "deploy decides that itself; leave it out\n"),
        (["--set", "log_file="], "expected some text"),
        (["--set", "memory_limit_mb=0.0000001"], "expected a number, 1 or more"),
        (["--torch-index", "not a url"], "--torch-index 'not a url': expected a URL"),
        (["--torch-index", ""], "--torch-index '': expected a URL"),
        (["--torch-index", "https:///"], "expected a URL"),
        (["--python", "a b"], "--python 'a b': expected a path"),
        (["--credentials", "/usr", "--broker", "mqtts://x"], "'edgewright-fleet enroll' writes it"),
        (["--credentials", "/usr", "--new-password"], "--new-password goes without --credentials"),
        (["--new-password"], "--new-password: expected a broker with TLS"),
        (["--wheelhouse", "/usr", "--torch-index", "https://x.example"], "asks no index"),
        (["--ask-sudo-password"], "goes without --user"),
        (
            ["--remove", "--bundles", "/usr"],
            "--bundles, --broker, --system-site-packages: a removal has no use",
        ),
    ],
)
def test_what_makes_no_sense_is_wrong_use(box: Box, options: list[str], said: str) -> None:
    done = box.deploy("--python", PYTHON, *options)
    assert done.code == 2, done.errors
    assert said in done.errors
    assert "connect" not in done.errors


@pytest.mark.parametrize(
    "target", ["pi@", "@box", "-oProxyCommand=x", "pi@-x", "pi @box", "ssh://@x"]
)
def test_a_destination_without_a_user_or_a_host_is_wrong_use(target: str) -> None:
    with pytest.raises(OrderError, match="expected USER@HOST"):
        check_target(target)


@pytest.mark.parametrize("target", ["box", "pi@box", "ssh://pi@box:2222", "dom\\\\a@b@box", "::1"])
def test_a_destination_that_ssh_takes_is_taken(target: str) -> None:
    assert check_target(target) == target


def test_two_users_options_of_different_kinds_are_wrong_use(box: Box) -> None:
    done = Box(box.sshd, box.tools).deploy("--prefix", "/srv/edgewright")
    assert done.code == 2
    assert "--prefix goes with --user" in done.errors
