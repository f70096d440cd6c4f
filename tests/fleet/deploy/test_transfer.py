"""Files over a real ssh: what is there is not sent, and what was cut off goes on."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import psutil
import pytest

from fleet.deploy.box import look
from fleet.deploy.layout import Layout, user_layout
from fleet.deploy.lock import locked
from fleet.deploy.ssh import Ssh
from fleet.deploy.transfer import Parcel, Shipment, parcels_of, ship
from fleet.errors import BoxUnreachableError, DeployError, RemoteError
from support.box import Box
from support.processes import wait_until

SIZE = 8_000_000


@pytest.fixture(scope="module")
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()


@pytest.fixture
def ssh(box: Box) -> Iterator[Ssh]:
    with connection(box) as opened:
        yield opened


def connection(box: Box) -> Ssh:
    return Ssh(box.sshd.target, config=box.sshd.client_config)


@pytest.fixture
def shipment(tmp_path: Path) -> Shipment:
    source = tmp_path / "here"
    source.mkdir()
    noise = random.Random(4)  # noqa: S311 - any bytes do
    for name, size in (("large one.pt", SIZE), ("small's.pt", 1000)):
        (source / name).write_bytes(noise.randbytes(size))
    return Shipment(
        parcels=parcels_of(sorted(source.iterdir())),
        folder=PurePosixPath(tmp_path / "there"),
        incoming=PurePosixPath(tmp_path / "incoming"),
    )


def part_of(shipment: Shipment, parcel: Parcel) -> Path:
    return Path(shipment.incoming) / f"{parcel.sha256}.part"


def assert_arrived(shipment: Shipment) -> None:
    for parcel in shipment.parcels:
        assert (Path(shipment.folder) / parcel.name).read_bytes() == parcel.path.read_bytes()
    assert list(Path(shipment.incoming).iterdir()) == []


def test_what_arrived_once_is_not_sent_again(ssh: Ssh, shipment: Shipment) -> None:
    assert ship(ssh, shipment, as_root=False).sent_bytes == SIZE + 1000
    assert_arrived(shipment)
    assert ship(ssh, shipment, as_root=False).sent_bytes == 0


def test_a_transfer_whose_connection_broke_goes_on_where_it_stopped(
    box: Box, shipment: Shipment
) -> None:
    large = shipment.parcels[0]
    gone = 0

    with connection(box) as first:

        def cut(count: int) -> None:
            nonlocal gone
            gone += count
            if gone > SIZE // 2:
                first.break_off()

        with pytest.raises(BoxUnreachableError):
            ship(first, shipment, as_root=False, on_sent=cut)
    there = settled_size(part_of(shipment, large))
    assert 0 < there < SIZE
    with connection(box) as second:
        assert ship(second, shipment, as_root=False).sent_bytes == SIZE - there + 1000
    assert_arrived(shipment)


def settled_size(path: Path) -> int:
    """Size once the box has written what it had received when the connection broke."""

    def is_written() -> bool:
        return any(
            str(path) == file.path for one in psutil.process_iter() for file in _files_of(one)
        )

    wait_until("nobody writes it", lambda: not is_written())
    return path.stat().st_size


def _files_of(process: psutil.Process) -> list[Any]:
    with contextlib.suppress(psutil.Error):
        return process.open_files()
    return []


def test_a_part_that_was_damaged_is_sent_anew(ssh: Ssh, shipment: Shipment) -> None:
    large = shipment.parcels[0]
    Path(shipment.incoming).mkdir()
    part_of(shipment, large).write_bytes(b"\0" * (SIZE // 2))
    sent = ship(ssh, shipment, as_root=False).sent_bytes
    assert sent == SIZE // 2 + SIZE + 1000
    assert_arrived(shipment)


def test_a_part_that_is_too_long_is_sent_anew(ssh: Ssh, shipment: Shipment) -> None:
    small = shipment.parcels[1]
    Path(shipment.incoming).mkdir()
    part_of(shipment, small).write_bytes(b"\0" * 2000)
    ship(ssh, shipment, as_root=False)
    assert_arrived(shipment)


def test_a_file_that_was_damaged_there_is_replaced(ssh: Ssh, shipment: Shipment) -> None:
    ship(ssh, shipment, as_root=False)
    victim = Path(shipment.folder) / "small's.pt"
    victim.write_bytes(b"!" * 1000)
    assert ship(ssh, shipment, as_root=False).sent_bytes == 1000
    assert_arrived(shipment)


def test_a_file_that_changes_while_it_is_sent_is_refused(ssh: Ssh, shipment: Shipment) -> None:
    shipment.parcels[1].path.write_bytes(b"?" * 1000)
    with pytest.raises(DeployError, match="arrived otherwise than it left, twice"):
        ship(ssh, shipment, as_root=False)
    assert not (Path(shipment.folder) / "small's.pt").exists()


def test_a_file_of_an_earlier_set_is_taken_from_there(
    ssh: Ssh, shipment: Shipment, tmp_path: Path
) -> None:
    ship(ssh, shipment, as_root=False)
    other = Shipment(
        parcels=shipment.parcels,
        folder=PurePosixPath(tmp_path / "next"),
        incoming=shipment.incoming,
        known=shipment.folder,
    )
    assert ship(ssh, other, as_root=False).sent_bytes == 0
    assert_arrived(other)


def test_a_script_that_fails_says_its_last_words_and_code(ssh: Ssh) -> None:
    with pytest.raises(RemoteError, match="no such luck") as raised:
        ssh.run("echo no such luck >&2\nexit 7\n")
    assert raised.value.code == 7


def test_no_line_of_a_script_runs_after_one_that_failed(ssh: Ssh, tmp_path: Path) -> None:
    with pytest.raises(RemoteError):
        ssh.run(f"false\ntouch {tmp_path}/after")
    assert not (tmp_path / "after").exists()


def test_a_second_deploy_waits_its_turn(box: Box, ssh: Ssh) -> None:
    there = look(ssh)
    layout: Layout = user_layout(there, None)
    python = there.suitable_python()
    with (
        connection(box) as other,
        locked(other, layout, python, as_root=False),
        pytest.raises(DeployError, match="another deploy"),
        locked(ssh, layout, python, as_root=False),
    ):
        pass
    with locked(ssh, layout, python, as_root=False):
        pass


def test_hashes_are_those_of_the_files(shipment: Shipment) -> None:
    for parcel in shipment.parcels:
        assert parcel.sha256 == hashlib.sha256(parcel.path.read_bytes()).hexdigest()
