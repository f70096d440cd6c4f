"""One check of the kit: what it tries, and what it means where it does not come out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

import msgspec

from fleet.conformance.finding import Finding, Status, UnmetError
from fleet.conformance.stand import Stand


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """`attempt` returns in words what came, or raises what did not.

    `needs` names checks without which this one is not tried. Where one that `is_basis` fails,
    none is tried after it.
    """

    name: str
    required: bool
    asks: str
    means: str
    attempt: Callable[[Stand], str]
    needs: tuple[str, ...] = ()
    is_basis: bool = False

    def run(self, stand: Stand) -> Finding:
        """Make the check, and say how it went."""
        try:
            with contextlib.closing(stand):
                got = self.attempt(stand)
        except UnmetError as error:
            return self.unmet(expected=error.expected, got=error.got)
        return Finding(
            check=self.name,
            required=self.required,
            status=Status.PASSED if self.required else Status.PRESENT,
            asks=self.asks,
            got=got,
        )

    def unmet(self, *, expected: str, got: str) -> Finding:
        """The finding where it did not come out."""
        return Finding(
            check=self.name,
            required=self.required,
            status=Status.FAILED if self.required else Status.ABSENT,
            asks=self.asks,
            got=got,
            expected=expected,
            means=self.means,
        )

    def not_tried(self, missing: Sequence[Finding]) -> Finding:
        """The finding where other checks did not come out that this one needs.

        Without a feature that this one builds on, it is absent for certain; of what a failure
        kept from being tried, nothing is known.
        """
        names = " and ".join(one.check for one in missing)
        found = self.unmet(expected=names, got="not tried")
        if all(one.status is Status.ABSENT for one in missing):
            return found
        means = f"not tried; mend {names} first"
        return msgspec.structs.replace(found, status=Status.UNTRIED, means=means)
