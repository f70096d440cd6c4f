"""A bundle set that goes to a box: each version of it in a folder of its own there."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from contract.bundleset import SET_NAME, read_set, verify_member
from contract.errors import ContractError
from contract.files import sha256_of
from fleet.deploy.layout import Layout
from fleet.deploy.transfer import Parcel, Shipment
from fleet.errors import DeployError

_NAME_DIGITS = 16


class LocalSet(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle set on this machine, each file of it checked."""

    folder: Path
    #: Sixteen hexadecimal digits that change with any byte of the set.
    name: str
    variants: tuple[str, ...]
    parcels: tuple[Parcel, ...]

    @property
    def total_bytes(self) -> int:
        """Size of all files."""
        return sum(one.bytes for one in self.parcels)

    def shipment(self, layout: Layout) -> Shipment:
        """The way of this set to its folder on a box."""
        return Shipment(
            parcels=self.parcels,
            folder=self.place(layout),
            incoming=layout.incoming,
            known=layout.bundles,
        )

    def place(self, layout: Layout) -> PurePosixPath:
        """Folder of this version of the set on a box."""
        return layout.sets / self.name


def read_local_set(folder: Path) -> LocalSet:
    """The set in `folder`, with `set.json` last, for it vouches for the others.

    Raises:
        DeployError: it is no bundle set, or a file of it is damaged.
    """
    try:
        bundle_set = read_set(folder)
        for member in bundle_set.members:
            verify_member(folder, member)
    except ContractError as error:
        raise DeployError(str(error)) from error
    path = folder / SET_NAME
    content = path.read_bytes()
    parcels = [_parcel(folder, one) for one in _vouched_for(msgspec.json.decode(content))]
    digest = hashlib.sha256(content).hexdigest()
    parcels.append(Parcel(path=path, name=SET_NAME, bytes=len(content), sha256=digest))
    return LocalSet(
        folder=folder,
        name=digest[:_NAME_DIGITS],
        variants=tuple(member.variant for member in bundle_set.members),
        parcels=tuple(parcels),
    )


class _Vouched(msgspec.Struct, frozen=True):
    file: str
    bytes: int
    sha256: str


def _vouched_for(document: Any) -> list[_Vouched]:  # noqa: ANN401 - JSON
    # Bundles today; whatever else a later set names by file, size and hash goes along.
    if isinstance(document, list):
        return [one for item in document for one in _vouched_for(item)]
    if not isinstance(document, dict):
        return []
    if {"file", "bytes", "sha256"} <= document.keys():
        return [msgspec.convert(document, _Vouched)]
    return [one for item in document.values() for one in _vouched_for(item)]


def _parcel(folder: Path, vouched: _Vouched) -> Parcel:
    path = folder / vouched.file
    plain = path.name == vouched.file and "\n" not in path.name
    if not plain or not path.is_file() or sha256_of(path) != vouched.sha256:
        message = f"{path}: not the file that {SET_NAME} vouches for; build or copy the set again"
        raise DeployError(message)
    return Parcel(path=path, name=path.name, bytes=vouched.bytes, sha256=vouched.sha256)
