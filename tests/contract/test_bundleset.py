"""set.json vouches for the bytes of every member before anything is loaded."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from contract.bundleset import BundleSet, Member, read_set, verify_member, write_set
from contract.errors import BundleDamagedError, NewerSchemaError
from contract.evalset import Evalset
from contract.files import sha256_of


@pytest.fixture
def bundle_set(tmp_path: Path) -> BundleSet:
    path = tmp_path / "a.pt"
    path.write_bytes(b"twelve bytes")
    member = Member(variant="a", file="a.pt", bytes=12, sha256=sha256_of(path))
    written = BundleSet(baseline="a", members=[member])
    write_set(tmp_path, written)
    return written


def test_a_set_comes_back_as_written(tmp_path: Path, bundle_set: BundleSet) -> None:
    assert read_set(tmp_path) == bundle_set
    assert read_set(tmp_path).set_id == bundle_set.set_id


def test_the_set_id_changes_with_a_members_bytes(bundle_set: BundleSet) -> None:
    other = msgspec.structs.replace(bundle_set.members[0], sha256="0" * 64)
    assert msgspec.structs.replace(bundle_set, members=[other]).set_id != bundle_set.set_id


@pytest.fixture
def with_evalset(tmp_path: Path, bundle_set: BundleSet) -> BundleSet:
    path = tmp_path / "evalset.npz"
    path.write_bytes(b"images")
    evalset = Evalset(
        bytes=6, sha256=sha256_of(path), images=3, wanted=200, dataset="toy", drawn_from=3
    )
    written = msgspec.structs.replace(bundle_set, evalset=evalset)
    write_set(tmp_path, written)
    return written


def test_a_set_without_an_evaluation_set_is_written_as_before_there_were_any(
    tmp_path: Path, bundle_set: BundleSet
) -> None:
    text = (tmp_path / "set.json").read_text()
    assert list(msgspec.json.decode(text)) == ["schema", "baseline", "members"]
    # Of the release before: devices that measured such a set need not measure again.
    assert bundle_set.set_id == "07b00d909e2f8cc7"


def test_an_evaluation_set_comes_back_changes_the_id_and_is_checked_like_a_member(
    tmp_path: Path, bundle_set: BundleSet, with_evalset: BundleSet
) -> None:
    assert read_set(tmp_path) == with_evalset
    assert with_evalset.set_id != bundle_set.set_id
    assert isinstance(with_evalset.evalset, Evalset)
    assert verify_member(tmp_path, with_evalset.evalset) == tmp_path / "evalset.npz"
    (tmp_path / "evalset.npz").write_bytes(b"imagez")
    with pytest.raises(BundleDamagedError, match="another SHA-256"):
        verify_member(tmp_path, with_evalset.evalset)


def test_an_evaluation_set_may_not_leave_the_folder(
    tmp_path: Path, with_evalset: BundleSet
) -> None:
    text = (tmp_path / "set.json").read_text()
    (tmp_path / "set.json").write_text(text.replace("evalset.npz", "../evalset.npz"))
    assert with_evalset.evalset is not msgspec.UNSET
    with pytest.raises(BundleDamagedError, match="plain name within the folder"):
        read_set(tmp_path)


def test_an_untouched_member_verifies(tmp_path: Path, bundle_set: BundleSet) -> None:
    assert verify_member(tmp_path, bundle_set.members[0]) == tmp_path / "a.pt"


@pytest.mark.parametrize(
    ("content", "found"), [(b"twelve", "6 bytes"), (b"twelve bytez", "another SHA-256")]
)
def test_a_changed_member_is_refused(
    tmp_path: Path, bundle_set: BundleSet, content: bytes, found: str
) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(BundleDamagedError, match=found):
        verify_member(tmp_path, bundle_set.members[0])


def test_a_folder_without_a_set_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleDamagedError, match="edgewright-builder build"):
        read_set(tmp_path)


@pytest.mark.parametrize("file", ["../a.pt", "/etc/passwd", "..", ""])
def test_a_member_may_not_leave_the_folder(
    tmp_path: Path, bundle_set: BundleSet, file: str
) -> None:
    member = msgspec.structs.replace(bundle_set.members[0], file=file)
    write_set(tmp_path, msgspec.structs.replace(bundle_set, members=[member]))
    with pytest.raises(BundleDamagedError, match="plain name within the folder"):
        read_set(tmp_path)


def test_a_newer_set_asks_for_an_upgrade(tmp_path: Path, bundle_set: BundleSet) -> None:
    write_set(tmp_path, msgspec.structs.replace(bundle_set, schema=2))
    with pytest.raises(NewerSchemaError):
        read_set(tmp_path)
