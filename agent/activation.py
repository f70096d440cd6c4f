"""The variant that this device serves, and how it follows what the fleet desires."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from agent.errors import JournalError
from agent.logs import fields
from contract.files import write_atomically
from contract.manifest import Count, Variant
from contract.messages import Desired, Phase

_log = logging.getLogger(__name__)

#: File in the agent's state folder that keeps the standing.
STANDING_NAME = "active.json"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the device stands; kept across restarts."""

    #: The newest generation that was decided on.
    generation: Count = 0
    phase: Phase = Phase.IDLE
    active_variant: Variant | None = None
    active_sha256: str | None = None
    active_threads: int | None = None
    reason: str | None = None
    #: What was desired last, to be tried again when other bundles arrive.
    desired: Desired | None = None

    def adopting(self, desired: Desired) -> Standing:
        """Standing once the desired variant is the active one."""
        return Standing(
            generation=desired.generation,
            phase=Phase.ACTIVE,
            active_variant=desired.variant,
            active_sha256=desired.sha256,
            active_threads=desired.threads,
            desired=desired,
        )

    def refusing(self, desired: Desired, reason: str) -> Standing:
        """Standing when the desired variant cannot be served: the one before stays."""
        return msgspec.structs.replace(
            self,
            generation=desired.generation,
            phase=Phase.FAILED,
            reason=reason,
            desired=desired,
        )


class Activation:
    """Keeps the standing in a file that a power cut leaves whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._standing = _read(path)

    @property
    def standing(self) -> Standing:
        """Where the device stands."""
        return self._standing

    def is_news(self, desired: Desired) -> bool:
        """Whether a desired state is newer than everything decided on."""
        return desired.generation > self._standing.generation

    def settle(self, standing: Standing) -> None:
        """Make a standing the present one, once it is on the disk.

        Raises:
            JournalError: it cannot be written; the standing stays as it was.
        """
        try:
            write_atomically(self._path, msgspec.json.encode(standing) + b"\n")
        except OSError as error:
            message = f"{self._path}: {error.strerror}; free some disk or check state_dir"
            raise JournalError(message) from error
        self._standing = standing


def _read(path: Path) -> Standing:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Standing)
    except FileNotFoundError:
        return Standing()
    except (OSError, msgspec.MsgspecError) as error:
        # The fleet's retained `desired` brings the device back to where it was.
        _log.warning("standing_unreadable", extra=fields(path=path, error=error))
        return Standing()
