"""The variant that this device is to serve, and how it follows what the fleet desires."""

from __future__ import annotations

import logging
import zlib
from pathlib import Path

import msgspec

from agent.errors import JournalError
from agent.logs import fields
from contract.files import write_atomically
from contract.manifest import Count, Positive, Variant
from contract.messages import Desired, Phase

_log = logging.getLogger(__name__)

#: File in the agent's state folder that keeps the standing.
STANDING_NAME = "active.json"
#: The one at work and the one to fall back to.
_KEPT_GOOD = 2


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """One bundle and how it is run."""

    variant: Variant
    sha256: str
    threads: Positive
    #: The fastest of the preparations that were measured here; None where none was.
    preparation: str | None = None

    def is_like(self, other: Pick | None) -> bool:
        """Whether the other one is the same bundle on as many threads."""
        key = (self.variant, self.sha256, self.threads)
        return other is not None and key == (other.variant, other.sha256, other.threads)


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where the device stands; kept across restarts."""

    #: The newest generation that is settled: served, adopted where nothing serves, or refused.
    generation: Count = 0
    phase: Phase = Phase.IDLE
    #: What is to be served: the last one that was accepted, with the generation that asked.
    active_variant: Variant | None = None
    active_sha256: str | None = None
    active_threads: int | None = None
    active_preparation: str | None = None
    active_generation: Count = 0
    reason: str | None = None
    #: What was desired last and is settled, to be tried again when other bundles arrive.
    desired: Desired | None = None
    #: What was accepted and has not been seen served yet.
    underway: Desired | None = None
    #: What was served here, the latest first: where `active` cannot be served, they can.
    good: list[Pick] = []

    @property
    def active(self) -> Pick | None:
        """What is to be served; None where nothing was accepted yet."""
        if self.active_variant is None or self.active_sha256 is None:
            return None
        return Pick(
            variant=self.active_variant,
            sha256=self.active_sha256,
            threads=self.active_threads or 1,
            preparation=self.active_preparation,
        )

    @property
    def is_refused(self) -> bool:
        """Whether what is desired was refused, so that it is not what is to be served."""
        return (
            self.underway is None
            and self.phase is Phase.FAILED
            and self.desired is not None
            and self.desired.generation != self.active_generation
        )

    def choosing(self, desired: Desired, *, preparation: str | None = None) -> Standing:
        """Standing while a desired variant is to be served and has not been seen so."""
        pick = Pick(
            variant=desired.variant,
            sha256=desired.sha256,
            threads=desired.threads,
            preparation=preparation,
        )
        if pick.is_like(self.active):
            # What is at work stays as it is, whatever was measured since.
            preparation = self.active_preparation
        return msgspec.structs.replace(
            self,
            active_variant=pick.variant,
            active_sha256=pick.sha256,
            active_threads=pick.threads,
            active_preparation=preparation,
            active_generation=desired.generation,
            underway=desired,
        )

    def serving(self, reason: str | None = None) -> Standing:
        """Standing once what is to be served is being served.

        Args:
            reason: why it may not be so after a restart, if something was found.
        """
        if self.is_refused:
            return self
        return self._settled(Phase.ACTIVE, reason)

    def failing(self, reason: str) -> Standing:
        """Standing when what is to be served cannot be served."""
        return self if self.is_refused else self._settled(Phase.FAILED, reason)

    def idling(self, reason: str | None) -> Standing:
        """Standing while nothing was desired yet."""
        return self._settled(Phase.IDLE, reason)

    def adopting(self, desired: Desired, *, preparation: str | None = None) -> Standing:
        """Standing once the desired variant is the active one, where this agent serves nothing."""
        chosen = self.choosing(desired, preparation=preparation)
        settled = chosen._settled(Phase.ACTIVE, None)  # noqa: SLF001 - one of us
        return settled if settled.active is None else settled.remembering(settled.active)

    def refusing(self, desired: Desired, reason: str) -> Standing:
        """Standing when the desired variant cannot be served: the one before stays."""
        return msgspec.structs.replace(
            self,
            generation=desired.generation,
            phase=Phase.FAILED,
            reason=reason,
            desired=desired,
            underway=None,
        )

    def remembering(self, served: Pick) -> Standing:
        """Standing that holds what is being served as good."""
        others = [pick for pick in self.good if not pick.is_like(served)]
        return msgspec.structs.replace(self, good=[served, *others][:_KEPT_GOOD])

    def _settled(self, phase: Phase, reason: str | None) -> Standing:
        desired = self.underway or self.desired
        generation = self.underway.generation if self.underway else self.generation
        return msgspec.structs.replace(
            self,
            generation=generation,
            phase=phase,
            reason=reason,
            desired=desired,
            underway=None,
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
        underway = self._standing.underway
        return desired.generation > max(
            self._standing.generation,
            underway.generation if underway else 0,
        )

    def settle(self, standing: Standing) -> None:
        """Make a standing the present one, once it is on the disk.

        Raises:
            JournalError: it cannot be written; the standing stays as it was.
        """
        try:
            write_atomically(self._path, _sealed(msgspec.json.encode(standing)))
        except OSError as error:
            message = f"{self._path}: {error.strerror}; free some disk or check state_dir"
            raise JournalError(message) from error
        self._standing = standing


def _read(path: Path) -> Standing:
    try:
        return msgspec.json.decode(_unsealed(path.read_bytes()), type=Standing)
    except FileNotFoundError:
        return Standing()
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        # The fleet's retained `desired` brings the device back to where it was.
        _log.warning("standing_unreadable", extra=fields(path=path, error=error))
        return Standing()


def _sealed(content: bytes) -> bytes:
    """One line of content and one of its checksum: a flipped digit is a valid one, too."""
    return b"%b\n%08x\n" % (content, zlib.crc32(content))


def _unsealed(text: bytes) -> bytes:
    content, _, seal = text.partition(b"\n")
    # An earlier agent wrote no seal.
    if seal and text != _sealed(content):
        message = "the checksum does not fit: it is damaged"
        raise ValueError(message)
    return content
