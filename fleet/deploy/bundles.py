"""A bundle set that goes to a box: each version of it in a folder of its own there."""

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath

import msgspec

from contract.bundleset import SET_NAME, Member, read_set, verify_member
from contract.errors import ContractError
from contract.evalset import Evalset
from fleet.deploy.layout import Layout
from fleet.deploy.transfer import Parcel, Shipment
from fleet.errors import DeployError

_NAME_DIGITS = 16
#: Matches the names of sets in a shell.
NAME_PATTERN = "[0-9a-f]" * _NAME_DIGITS


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
        vouched: list[Member | Evalset] = [*bundle_set.members]
        if bundle_set.evalset is not msgspec.UNSET:
            vouched.append(bundle_set.evalset)
        parcels = [_parcel(verify_member(folder, one), one.sha256) for one in vouched]
        path = folder / SET_NAME
        content = path.read_bytes()
    except (ContractError, OSError) as error:
        raise DeployError(str(error)) from error
    digest = hashlib.sha256(content).hexdigest()
    parcels.append(Parcel(path=path, name=SET_NAME, bytes=len(content), sha256=digest))
    return LocalSet(
        folder=folder,
        name=digest[:_NAME_DIGITS],
        variants=tuple(member.variant for member in bundle_set.members),
        parcels=tuple(parcels),
    )


def _parcel(path: Path, sha256: str) -> Parcel:
    if "\n" in path.name:
        message = f"{str(path)!r}: expected a name without line breaks; rename it, build again"
        raise DeployError(message)
    return Parcel(path=path, name=path.name, bytes=path.stat().st_size, sha256=sha256)
