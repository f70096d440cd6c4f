"""What is to be served: the variant asked for or the active one, and what stands in for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agent.activation import Activation, Pick, Standing
from agent.bench import fit_to_load
from agent.bundles import Bundle, Shelf, open_shelf
from agent.errors import ServeError
from contract.bundleset import SET_NAME, read_set

Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A bundle to serve. Two are the same where variant, bytes and threads are."""

    variant: str
    sha256: str
    threads: int
    pick: Pick = field(compare=False, repr=False)
    shelf: Shelf = field(compare=False, repr=False)
    bundle: Bundle = field(compare=False, repr=False)
    #: Changes whenever the file is written anew, whatever stands in it.
    stamp: Stamp = field(compare=False, repr=False)

    def fit_to_load(self) -> Path:
        """Path of its bundle, verified.

        Raises:
            BundleDamagedError: it must not be loaded.
        """
        return fit_to_load(self.shelf, self.bundle)


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """What is to be served, and what is served instead where that cannot be."""

    #: None where the folder does not hold what is to be served.
    first: Choice | None
    #: In the order to try them. Each proves itself when it is loaded, as the first does.
    substitutes: Sequence[Choice] = ()
    #: Why there is no first.
    problem: str | None = None
    #: The generation that asked for it.
    generation: int = 0

    @property
    def choices(self) -> list[Choice]:
        """All of them, the best first."""
        return [*([self.first] if self.first else []), *self.substitutes]


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
        self._files: list[Path] = []
        self._seen: dict[Path, Stamp] = {}

    def choose(self) -> Ranking:
        """Return what is to be served now.

        A variant that was asked for has no substitutes. For the active one there are those that
        were served here before, the latest first, and then the set's baseline.

        Raises:
            BundleError: the bundle set cannot be read.
            ServeError: the variant asked for is not in the set, or there is nothing to serve.
        """
        self._seen = self._look()
        members = read_set(self._folder).members
        self._files = [self._folder / member.file for member in members]
        # Before anything is read of them, so that nothing is written unnoticed meanwhile.
        self._seen = self._look()
        shelf = open_shelf(self._folder)
        if self._variant is not None:
            return Ranking(first=self._choice(shelf, _find(shelf, self._variant)))
        if self._standing is None:
            return self._ranking(shelf, Standing())
        return self._ranking(shelf, Activation(self._standing).standing)

    def has_changed(self) -> bool:
        """Whether a file that the choice rests on was replaced since the last look."""
        now = self._look()
        changed = now != self._seen
        self._seen = now
        return changed

    def _ranking(self, shelf: Shelf, standing: Standing) -> Ranking:
        baseline = None if shelf.baseline is None else self._choice(shelf, shelf.baseline)
        first, problem = baseline, None
        if standing.active is not None:
            try:
                first = self._choice(shelf, _chosen(shelf, standing.active), standing.active)
            except ServeError as error:
                first, problem = None, str(error)
        before = []
        for pick in standing.good:
            bundle = shelf.bundle(pick.variant)
            if bundle is not None and bundle.member.sha256 == pick.sha256:
                before.append(self._choice(shelf, bundle, pick))
        substitutes = [*before, *([baseline] if baseline else [])]
        if first is None and not substitutes:
            baseline_name = shelf.bundle_set.baseline
            message = problem or f"{shelf.folder}: the baseline '{baseline_name}' is unreadable"
            raise ServeError(message)
        return Ranking(
            first=first,
            substitutes=[one for one in dict.fromkeys(substitutes) if one != first],
            problem=problem,
            generation=standing.active_generation,
        )

    def _choice(self, shelf: Shelf, bundle: Bundle, pick: Pick | None = None) -> Choice:
        member = bundle.member
        if pick is None:
            pick = Pick(variant=member.variant, sha256=member.sha256, threads=self._threads or 1)
        elif self._threads is not None:
            pick = msgspec.structs.replace(pick, threads=self._threads)
        return Choice(
            variant=pick.variant,
            sha256=pick.sha256,
            threads=pick.threads,
            pick=pick,
            shelf=shelf,
            bundle=bundle,
            stamp=self._seen.get(shelf.folder / member.file),
        )

    def _look(self) -> dict[Path, Stamp]:
        paths = [self._folder / SET_NAME, *self._files]
        if self._standing is not None:
            paths.append(self._standing)
        return {path: _stamp(path) for path in paths}


def _chosen(shelf: Shelf, pick: Pick) -> Bundle:
    bundle = _find(shelf, pick.variant)
    if pick.sha256 != bundle.member.sha256:
        message = (
            f"variant '{pick.variant}': the fleet chose the bundle with SHA-256 "
            f"{pick.sha256[:12]}..., and {shelf.folder} has {bundle.member.sha256[:12]}...: "
            "apply it again"
        )
        raise ServeError(message)
    return bundle


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


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
