"""How the making of one variant ended."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from contract.bundleset import Member
from contract.manifest import Manifest


class Status(enum.StrEnum):
    """What became of a variant."""

    BUILT = "built"
    #: Was there already, from the same inputs.
    UNCHANGED = "unchanged"
    #: This network cannot have this variant.
    UNSUPPORTED = "unsupported"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One variant: its bundle, or the reason why there is none."""

    variant: str
    status: Status
    reason: str | None = None
    member: Member | None = None
    manifest: Manifest | None = None

    @property
    def exists(self) -> bool:
        """Whether the variant now stands in the bundle set."""
        return self.member is not None
