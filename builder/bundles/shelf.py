"""The folder that a build fills: finished bundles and the `set.json` that vouches for them."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from contract.bundle import SUFFIX, read_manifest
from contract.bundleset import SET_NAME, BundleSet, Member, read_set, verify_member, write_set
from contract.errors import BundleDamagedError, BundleError
from contract.files import sha256_of
from contract.manifest import Manifest


class Shelf:
    """A bundle set that grows by one finished variant at a time."""

    def __init__(self, folder: Path, baseline: str) -> None:
        """Open the set in `folder`, or start one with `baseline`.

        A set that is there keeps its own baseline.

        Raises:
            BundleDamagedError: its `set.json` cannot be read; it is not overwritten.
            NewerSchemaError: a later Edgewright wrote it.
            OSError: the folder cannot be made.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._baseline = baseline
        try:
            self._read()
        except BundleDamagedError as error:
            # Building again is what was just tried.
            message = f"{error}; or remove {folder / SET_NAME}, and all variants are built anew"
            raise BundleDamagedError(message) from error

    @property
    def folder(self) -> Path:
        """Where the bundles stand."""
        return self._folder

    @property
    def bundle_set(self) -> BundleSet:
        """What `set.json` says now."""
        return self._read()

    def path_of(self, variant: str) -> Path:
        """Where a variant's bundle stands, or will."""
        return self._folder / f"{variant}{SUFFIX}"

    def finished(self, variant: str, inputs_sha256: str) -> tuple[Member, Manifest] | None:
        """Return the variant where it was built from the same inputs and is intact."""
        member = self._read().member(variant)
        if member is None:
            return None
        try:
            manifest = read_manifest(verify_member(self._folder, member))
        except BundleError:
            return None
        return (member, manifest) if manifest.provenance.inputs_sha256 == inputs_sha256 else None

    def clear_leftovers(self, variant: str) -> None:
        """Remove scratch files that a killed build of this variant left."""
        for scratch in self._folder.glob(f".{variant}{SUFFIX}.*.part"):
            scratch.unlink(missing_ok=True)

    def add(self, variant: str) -> Member:
        """Vouch for the bundle that was just written, in place of an older one.

        Raises:
            BundleError: another process spoilt `set.json` meanwhile.
            OSError: `set.json` cannot be written; the old one stays.
        """
        path = self.path_of(variant)
        member = Member(
            variant=variant,
            file=path.name,
            bytes=path.stat().st_size,
            sha256=sha256_of(path),
        )

        def grown(present: BundleSet) -> BundleSet:
            members = {known.variant: known for known in present.members} | {variant: member}
            return msgspec.structs.replace(present, members=list(members.values()))

        self.edit(grown)
        return member

    def edit(self, change: Callable[[BundleSet], BundleSet]) -> None:
        """Change `set.json`; other builds into the same folder wait meanwhile.

        Raises:
            BundleError: another process spoilt `set.json` meanwhile.
            OSError: `set.json` cannot be written; the old one stays.
        """
        with self._locked():
            # Another build may have added to the same folder since.
            present = self._read()
            changed = change(present)
            if changed != present:
                write_set(self._folder, changed)

    def _read(self) -> BundleSet:
        if (self._folder / SET_NAME).exists():
            return read_set(self._folder)
        return BundleSet(baseline=self._baseline, members=[])

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)
