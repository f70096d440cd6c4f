"""A bundle set as it lies on this box: what can be measured, and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contract.bundle import read_manifest
from contract.bundleset import BundleSet, Member, read_set
from contract.errors import BundleError
from contract.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A member of the set whose manifest can be read; its bytes are not checked yet."""

    member: Member
    manifest: Manifest


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A member without a readable manifest: there is nothing to report figures of."""

    member: Member
    reason: str


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A folder's bundles, in the order of its `set.json`."""

    folder: Path
    bundle_set: BundleSet
    bundles: list[Bundle]
    unreadable: list[Unreadable]

    def bundle(self, variant: str) -> Bundle | None:
        """Return the readable bundle of a variant, or None."""
        return next((b for b in self.bundles if b.member.variant == variant), None)

    @property
    def baseline(self) -> Bundle | None:
        """The bundle that speed-up and top-1 drop refer to, if it can be read."""
        return self.bundle(self.bundle_set.baseline)


def open_shelf(folder: Path) -> Shelf:
    """Read the set's list and every manifest.

    Raises:
        BundleDamagedError: the folder has no readable `set.json`.
        NewerSchemaError: `set.json` was written by a later Edgewright.
    """
    bundle_set = read_set(folder)
    bundles, unreadable = [], []
    for member in bundle_set.members:
        try:
            manifest = read_manifest(folder / member.file)
        except BundleError as error:
            unreadable.append(Unreadable(member=member, reason=str(error)))
        else:
            bundles.append(Bundle(member=member, manifest=manifest))
    return Shelf(folder=folder, bundle_set=bundle_set, bundles=bundles, unreadable=unreadable)
