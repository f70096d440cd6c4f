"""The papers inside a bundle are read without torch, and damage is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.bundle import read_labels, read_manifest
from contract.errors import BundleDamagedError, NewerSchemaError
from contract.manifest import Manifest, decode_manifest

WriteBundle = Callable[..., Path]


def test_manifest_and_labels_come_back_as_written(
    write_bundle: WriteBundle, manifest: Manifest
) -> None:
    path = write_bundle()
    assert read_manifest(path) == manifest
    assert read_labels(path) == ["cat", "dog"]


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.9])
def test_a_truncated_bundle_is_damaged(write_bundle: WriteBundle, kept_share: float) -> None:
    path = write_bundle()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])
    with pytest.raises(BundleDamagedError, match=r"copy or build it again"):
        read_manifest(path)


def test_an_edited_member_fails_its_checksum(write_bundle: WriteBundle) -> None:
    path = write_bundle()
    path.write_bytes(path.read_bytes().replace(b'"classes":2', b'"classes":3'))
    with pytest.raises(BundleDamagedError, match="CRC"):
        read_manifest(path)


def test_a_missing_file_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(BundleDamagedError, match=r"absent\.pt"):
        read_manifest(tmp_path / "absent.pt")


def test_a_torchscript_file_of_someone_else_is_named_as_such(write_bundle: WriteBundle) -> None:
    path = write_bundle()
    path.write_bytes(path.read_bytes().replace(b"manifest.json", b"something.txt"))
    with pytest.raises(BundleDamagedError, match="not made by edgewright-builder"):
        read_manifest(path)


def test_a_bundle_of_a_newer_schema_asks_for_an_upgrade(
    write_bundle: WriteBundle, manifest: Manifest
) -> None:
    newer = msgspec.to_builtins(manifest) | {"schema": 2, "variant": {"now": "an object"}}
    path = write_bundle(manifest_json=msgspec.json.encode(newer))
    with pytest.raises(NewerSchemaError, match="schema 2 is newer than the schema 1"):
        read_manifest(path)


def test_unknown_manifest_fields_are_ignored(manifest: Manifest) -> None:
    extended = msgspec.to_builtins(manifest) | {"added_later": [1, 2]}
    assert decode_manifest(msgspec.json.encode(extended), source="x") == manifest


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_never_anything_but_damaged(content: bytes) -> None:
    with pytest.raises(BundleDamagedError):
        decode_manifest(content, source="x")


def test_labels_of_a_wrong_type_are_damaged(write_bundle: WriteBundle) -> None:
    path = write_bundle(labels_json=b"[1, 2]")
    with pytest.raises(BundleDamagedError, match=r"labels\.json"):
        read_labels(path)
