"""A bundle set: a folder of bundles and the `set.json` that vouches for their bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from contract.errors import BundleDamagedError
from contract.evalset import Evalset
from contract.files import sha256_of, write_atomically
from contract.manifest import Count, Positive, Variant, decode_document

SET_NAME = "set.json"
SET_SCHEMA = 1


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the set; what stands inside a file proves nothing about it."""

    variant: Variant
    file: str
    bytes: Count
    sha256: str


class BundleSet(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `set.json`."""

    schema: Positive = SET_SCHEMA
    #: Variant that "speed-up" and "top-1 drop" refer to.
    baseline: Variant
    members: list[Member]
    #: Left out where there is none: sets from before keep their `set_id`.
    evalset: Evalset | msgspec.UnsetType = msgspec.UNSET

    def member(self, variant: str) -> Member | None:
        """Return the member named `variant`, or None."""
        return next((m for m in self.members if m.variant == variant), None)

    @property
    def set_id(self) -> str:
        """Sixteen hexadecimal digits that change whenever any file's bytes do."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:16]


def read_set(folder: Path) -> BundleSet:
    """Read `set.json` of a bundle set folder.

    Raises:
        BundleDamagedError: the folder has no readable `set.json`, or a member's file name
            leaves the folder.
        NewerSchemaError: written by a later Edgewright.
    """
    path = folder / SET_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        message = (
            f"{folder}: no readable {SET_NAME} ({error.strerror}); expected a bundle set: "
            "build one with 'edgewright-builder build'"
        )
        raise BundleDamagedError(message) from error
    bundle_set = decode_document(content, BundleSet, supported=SET_SCHEMA, source=str(path))
    vouched: list[Member | Evalset] = [*bundle_set.members]
    if bundle_set.evalset is not msgspec.UNSET:
        vouched.append(bundle_set.evalset)
    for one in vouched:
        if Path(one.file).name != one.file or one.file in {"", ".", ".."}:
            message = f"{path}: file '{one.file}': expected a plain name within the folder"
            raise BundleDamagedError(message)
    return bundle_set


def write_set(folder: Path, bundle_set: BundleSet) -> None:
    """Write `set.json` atomically."""
    content = msgspec.json.format(msgspec.json.encode(bundle_set), indent=2)
    write_atomically(folder / SET_NAME, content + b"\n")


def verify_member(folder: Path, member: Member | Evalset) -> Path:
    """Path of a file of the set once its size and SHA-256 match `set.json`.

    Raises:
        BundleDamagedError: the file is missing or differs; it must not be loaded.
    """
    path = folder / member.file
    try:
        size = path.stat().st_size
        if size == member.bytes and sha256_of(path) == member.sha256:
            return path
    except OSError as error:
        message = f"{path}: {error.strerror}; copy or build the bundle again"
        raise BundleDamagedError(message) from error
    found = f"{size} bytes" if size != member.bytes else "another SHA-256"
    message = (
        f"{path}: expected {member.bytes} bytes with SHA-256 {member.sha256[:12]}..., "
        f"got {found}; the file is truncated or edited: copy or build it again"
    )
    raise BundleDamagedError(message)
