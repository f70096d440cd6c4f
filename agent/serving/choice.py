"""Which variant is to be served: the one asked for, else the active one, else the baseline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.activation import Activation
from agent.bench import fit_to_load
from agent.bundles import Bundle, Shelf, open_shelf
from agent.errors import ServeError
from contract.bundleset import SET_NAME

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A bundle to serve. Two are the same where variant, bytes and threads are."""

    variant: str
    sha256: str
    threads: int
    shelf: Shelf = field(compare=False, repr=False)
    bundle: Bundle = field(compare=False, repr=False)

    def fit_to_load(self) -> Path:
        """Path of its bundle, verified.

        Raises:
            BundleDamagedError: it must not be loaded.
        """
        return fit_to_load(self.shelf, self.bundle)


class Chooser:
    """Says what is to be served, and when that may have changed.

    Args:
        folder: the bundle set.
        variant: what to serve, come what may; None follows the active variant.
        standing: the file that keeps the device's standing; None where there is none.
        threads: CPU threads; None takes what the fleet chose, else one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        variant: str | None = None,
        standing: Path | None = None,
        threads: int | None = None,
    ) -> None:
        self._folder = folder
        self._variant = variant
        self._standing = standing
        self._threads = threads
        self._chosen: Path | None = None
        self._seen: list[_Stamp] = []

    def choose(self) -> Choice:
        """Return what is to be served now.

        Raises:
            BundleError: the bundle set cannot be read.
            ServeError: the variant is not in the set, or no longer the bundle that was chosen.
        """
        self.has_changed()
        shelf = open_shelf(self._folder)
        name, sha256, threads = self._variant, None, None
        if name is None and self._standing is not None:
            standing = Activation(self._standing).standing
            name, sha256 = standing.active_variant, standing.active_sha256
            threads = standing.active_threads
        bundle = _find(shelf, name or shelf.bundle_set.baseline)
        self._chosen = self._folder / bundle.member.file
        # The file itself is looked at from now on, and has not changed by that.
        self.has_changed()
        if sha256 is not None and sha256 != bundle.member.sha256:
            message = (
                f"variant '{name}': the fleet chose the bundle with SHA-256 {sha256[:12]}..., "
                f"and {self._folder} has {bundle.member.sha256[:12]}...: apply it again"
            )
            raise ServeError(message)
        return Choice(
            variant=bundle.member.variant,
            sha256=bundle.member.sha256,
            threads=self._threads or threads or 1,
            shelf=shelf,
            bundle=bundle,
        )

    def has_changed(self) -> bool:
        """Whether a file that the choice rests on was replaced since the last look."""
        paths = (self._folder / SET_NAME, self._standing, self._chosen)
        now = [_stamp(path) for path in paths]
        changed = now != self._seen
        self._seen = now
        return changed


def _find(shelf: Shelf, name: str) -> Bundle:
    bundle = shelf.bundle(name)
    if bundle is not None:
        return bundle
    for one in shelf.unreadable:
        if one.member.variant == name:
            message = f"variant '{name}' is unreadable: {one.reason}"
            raise ServeError(message)
    known = ", ".join(member.variant for member in shelf.bundle_set.members)
    message = f"variant '{name}' is not in {shelf.folder}: expected one of {known}"
    raise ServeError(message)


def _stamp(path: Path | None) -> _Stamp:
    try:
        stat = path.stat() if path is not None else None
    except OSError:
        return None
    return stat and (stat.st_mtime_ns, stat.st_size, stat.st_ino)
