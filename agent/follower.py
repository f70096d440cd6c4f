"""Follows what the fleet desires: decides, keeps the decision, and only then reports it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable

from agent.activation import Activation, Standing
from agent.bundles import Shelf
from agent.errors import JournalError
from agent.logs import fields
from agent.sweeplog import SweepLog
from contract.benchmark import RunStatus
from contract.bundleset import verify_member
from contract.errors import BundleError
from contract.messages import Desired, Update

_log = logging.getLogger(__name__)


class Follower:
    """Turns desired states into the device's standing.

    Args:
        activation: where the standing is kept.
        sweeplog: how bundles fared on this device.
        site: the device's site, as updates state it.
        device: the device.
        say: publishes an update.
    """

    def __init__(
        self,
        activation: Activation,
        sweeplog: SweepLog,
        *,
        site: str,
        device: str,
        say: Callable[[Update], None],
    ) -> None:
        self._activation = activation
        self._sweeplog = sweeplog
        self._site = site
        self._device = device
        self._say = say
        self._heard: queue.SimpleQueue[Desired] = queue.SimpleQueue()
        #: What is desired while this device cannot tell yet whether it runs here.
        self._undecided: Desired | None = None

    def hear(self, desired: Desired) -> None:
        """Take note of a desired state; from any thread."""
        self._heard.put(desired)

    def reconsider(self) -> None:
        """Decide again on what was desired last: the bundles on this device are others now."""
        self._undecided = self._undecided or self._activation.standing.desired

    def follow(self, shelf: Shelf | None, *, fingerprint: str) -> None:
        """Decide on the newest desired state, once its bundle was measured here.

        Args:
            shelf: the bundle set, or None where it cannot be read.
            fingerprint: the environment in which a bundle must have run well.
        """
        while not self._heard.empty():
            desired = self._heard.get()
            newest = self._undecided.generation if self._undecided else 0
            if self._activation.is_news(desired) and desired.generation > newest:
                self._undecided = desired
        if self._undecided is None:
            return
        standing = self._decide(self._undecided, shelf, fingerprint)
        if standing is not None and self._settle(standing):
            self._undecided = None

    def report(self) -> None:
        """Say where the device stands."""
        standing = self._activation.standing
        self._say(
            Update(
                site=self._site,
                device=self._device,
                at=time.time(),
                phase=standing.phase,
                active_variant=standing.active_variant,
                active_sha256=standing.active_sha256,
                generation=standing.generation,
                reason=standing.reason,
            ),
        )

    def _decide(
        self,
        desired: Desired,
        shelf: Shelf | None,
        fingerprint: str,
    ) -> Standing | None:
        """Return the new standing, or None while the bundle is not measured yet."""
        standing = self._activation.standing
        obstacle = _obstacle(desired, shelf)
        if obstacle is not None:
            return standing.refusing(desired, obstacle)
        verdict = self._sweeplog.verdict(desired.sha256, fingerprint=fingerprint)
        if verdict is None:
            return None
        if verdict.status is not RunStatus.OK:
            reason = f"it does not run here: {verdict.status.value}: {verdict.reason}"
            return standing.refusing(desired, reason)
        return standing.adopting(desired)

    def _settle(self, standing: Standing) -> bool:
        """Keep and report a standing; False where the disk refuses it for now."""
        if standing == self._activation.standing:
            return True
        try:
            self._activation.settle(standing)
        except JournalError as error:
            _log.error("standing_not_kept", extra=fields(error=error))
            return False
        _log.info(
            "desired_settled",
            extra=fields(
                generation=standing.generation,
                phase=standing.phase.value,
                active=standing.active_variant,
                reason=standing.reason,
            ),
        )
        self.report()
        return True


def _obstacle(desired: Desired, shelf: Shelf | None) -> str | None:
    """Why the bundle of a desired variant cannot be had here, or None."""
    if shelf is None:
        return "the bundle set of this device cannot be read"
    bundle = shelf.bundle(desired.variant)
    if bundle is None:
        return f"variant '{desired.variant}' is not in the bundle set of this device"
    if bundle.member.sha256 != desired.sha256:
        return (
            f"variant '{desired.variant}': expected SHA-256 {desired.sha256[:12]}..., "
            f"this device has {bundle.member.sha256[:12]}...; copy the bundle set again"
        )
    try:
        verify_member(shelf.folder, bundle.member)
    except BundleError as error:
        return str(error)
    return None
