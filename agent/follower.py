"""Follows what the fleet desires: decides, keeps the decision, and reports what became of it."""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable
from pathlib import Path

from agent.activation import Activation, Pick, Standing
from agent.bundles import Shelf
from agent.errors import JournalError
from agent.logs import fields
from agent.serving.report import ServingReport
from agent.sweeplog import SweepLog, Verdict
from contract.benchmark import RunStatus
from contract.bundleset import Member, verify_member
from contract.errors import BundleError
from contract.messages import Desired, Phase, Update

_log = logging.getLogger(__name__)

#: For the server to serve what was accepted, or to say why not: a worker has 120 s to start.
_SERVED_WITHIN_SECONDS = 180.0


class Follower:
    """Turns desired states into the device's standing.

    Args:
        activation: where the standing is kept.
        sweeplog: how bundles fared on this device.
        site: the device's site, as updates state it.
        device: the device.
        say: publishes an update.
        served_within_s: time in which what was accepted must be served, where a server is
            expected.
    """

    def __init__(
        self,
        activation: Activation,
        sweeplog: SweepLog,
        *,
        site: str,
        device: str,
        say: Callable[[Update], None],
        served_within_s: float = _SERVED_WITHIN_SECONDS,
    ) -> None:
        self._activation = activation
        self._sweeplog = sweeplog
        self._site = site
        self._device = device
        self._say = say
        self._heard: queue.SimpleQueue[Desired] = queue.SimpleQueue()
        #: What is desired while this device cannot tell yet whether it runs here.
        self._undecided: Desired | None = None
        self._served_within_s = served_within_s
        self._expects_server = False
        self._report: ServingReport | None = None
        self._judge_by = 0.0
        self._said: tuple[Phase, Pick | None, int, str | None] | None = None

    def hear(self, desired: Desired) -> None:
        """Take note of a desired state; from any thread."""
        self._heard.put(desired)

    def expect_server(self) -> None:
        """From now on, only what a server reports to serve is active."""
        self._expects_server = True
        self._judge_by = time.monotonic() + self._served_within_s

    def hear_server(self, report: ServingReport) -> None:
        """Take note of what the server is at; from any thread."""
        self._report = report

    def reconsider(self) -> None:
        """Decide again on what was desired last: the bundles on this device are others now."""
        standing = self._activation.standing
        self._undecided = self._undecided or standing.underway or standing.desired

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
        if self._undecided is not None:
            standing = self._decide(self._undecided, shelf, fingerprint)
            if standing is not None and self._settle(standing):
                self._undecided = None
        if self._expects_server:
            self._judge()
        elif self._activation.standing.underway is not None:
            # The server that it waited for is not asked for any more.
            self._settle(self._activation.standing.serving())

    def report(self) -> None:
        """Say where the device stands, if it is known."""
        if not self._expects_server:
            self._tell(self._activation.standing.active)

    def _judge(self) -> None:
        """Settle what the server was told to serve, by what it reports."""
        report = self._report
        standing = judged(self._activation.standing, report)
        if standing is None:
            if time.monotonic() < self._judge_by:
                return
            seconds = f"{self._served_within_s:g} s"
            standing = self._activation.standing.failing(f"it is not served after {seconds}")
        else:
            self._judge_by = time.monotonic() + self._served_within_s
        if self._settle(standing):
            self._tell(report.served if report else None)

    def _tell(self, active: Pick | None) -> None:
        """Say where the device stands, unless that was said last."""
        standing = self._activation.standing
        news = standing.phase, active, standing.generation, standing.reason
        if news == self._said:
            return
        self._said = news
        self._say(
            Update(
                site=self._site,
                device=self._device,
                at=time.time(),
                phase=standing.phase,
                active_variant=active.variant if active else None,
                active_sha256=active.sha256 if active else None,
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
        if self._expects_server and desired.generation == standing.active_generation:
            # It was accepted, and the server notices by itself what became of its bundle.
            return standing
        try:
            verdict = self._verdict(desired, shelf, fingerprint)
        except BundleError as error:
            return standing.refusing(desired, str(error))
        if verdict is None:
            return None
        if verdict.status is not RunStatus.OK:
            reason = f"it does not run here: {verdict.status.value}: {verdict.reason}"
            return standing.refusing(desired, reason)
        if self._expects_server:
            self._judge_by = time.monotonic() + self._served_within_s
            return standing.choosing(desired, preparation=verdict.preparation)
        return standing.adopting(desired, preparation=verdict.preparation)

    def _verdict(self, desired: Desired, shelf: Shelf | None, fingerprint: str) -> Verdict | None:
        """How the desired bundle fared here, or None while it is not measured yet.

        Raises:
            BundleError: it cannot be had here.
        """
        folder, member = _member(desired, shelf)
        verdict = self._sweeplog.verdict(
            desired.sha256, fingerprint=fingerprint, threads=desired.threads
        )
        if verdict is not None and verdict.status is RunStatus.OK:
            # Once, not after every turn: it reads the whole file.
            verify_member(folder, member)
        return verdict

    def _settle(self, standing: Standing) -> bool:
        """Keep and report a standing; False where the disk refuses it for now."""
        if standing == self._activation.standing:
            return True
        try:
            self._activation.settle(standing)
        except JournalError as error:
            _log.error("standing_not_kept", extra=fields(error=error))
            return False
        underway = standing.underway
        _log.info(
            "desired_accepted" if underway else "desired_settled",
            extra=fields(
                generation=underway.generation if underway else standing.generation,
                phase=None if underway else standing.phase.value,
                wanted=standing.active_variant,
                reason=None if underway else standing.reason,
            ),
        )
        self.report()
        return True


def judged(standing: Standing, report: ServingReport | None) -> Standing | None:
    """Standing by what a server reports; None while that says nothing yet.

    Args:
        standing: what the device was told, and accepted.
        report: what the server is at; None where none was heard.
    """
    if report is None or report.generation not in {None, standing.active_generation}:
        return None
    if report.served is None and report.problem is None:
        return None
    active, served = standing.active, report.served
    if served is not None:
        standing = standing.remembering(served)
    if active is None:
        # Nothing was ever accepted: the baseline stands in, and a refusal stays.
        return standing if standing.is_refused else standing.idling(report.problem)
    if active.is_like(served):
        return standing.serving(report.problem)
    return standing.failing(report.problem) if report.problem is not None else None


def _member(desired: Desired, shelf: Shelf | None) -> tuple[Path, Member]:
    """Folder and entry of the desired bundle; its bytes are not checked yet.

    Raises:
        BundleError: it cannot be had here.
    """
    if shelf is None:
        message = "the bundle set of this device cannot be read"
        raise BundleError(message)
    bundle = shelf.bundle(desired.variant)
    if bundle is None:
        message = f"variant '{desired.variant}' is not in the bundle set of this device"
        raise BundleError(message)
    if bundle.member.sha256 != desired.sha256:
        message = (
            f"variant '{desired.variant}': expected SHA-256 {desired.sha256[:12]}..., "
            f"this device has {bundle.member.sha256[:12]}...; copy the bundle set again"
        )
        raise BundleError(message)
    return shelf.folder, bundle.member
