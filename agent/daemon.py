"""The agent at work: measures the bundle set, delivers, follows what the fleet desires."""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from pathlib import Path

from agent.activation import Activation, Standing
from agent.affinity import usable_cores
from agent.bench import Effort
from agent.bundles import Shelf, open_shelf
from agent.config import AgentConfig
from agent.courier import Courier, Patience
from agent.errors import JournalError, StoppedError
from agent.fingerprint import fingerprint
from agent.inventory import take_inventory
from agent.journal import Journal
from agent.keeper import RunKeeper
from agent.logs import fields
from agent.outbox import Outbox
from agent.protocol import Engines, ListEngines
from agent.record import last_event
from agent.statelock import hold_state_dir
from agent.supervisor import Limits, Supervisor
from agent.sweep import Job, Sweep, plan
from agent.sweeplog import SweepLog, SweepState
from agent.watch import SetWatch
from contract.benchmark import RunStatus
from contract.bundleset import verify_member
from contract.errors import BundleError
from contract.messages import Desired, Update

_log = logging.getLogger(__name__)

_JOURNAL_NAME = "agent.sqlite"
_STANDING_NAME = "active.json"
_LOOK_SECONDS = 1.0
_SECONDS_PER_HOUR = 3600.0


class Daemon:
    """One device's agent.

    Args:
        config: everything that it needs to know.
        stop: set from elsewhere (a signal) to end it.
        root: where `/proc` and `/sys` are found.
        patience: how long the courier waits before trying again.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        stop: threading.Event,
        root: Path = Path("/"),
        patience: Patience | None = None,
    ) -> None:
        self._config = config
        self._stop = stop
        self._root = root
        self._folder = Path(config.bundles)
        state_dir = Path(config.state_dir)
        self._lock = hold_state_dir(state_dir)
        self._journal = Journal(state_dir / _JOURNAL_NAME, limit_bytes=config.outbox_limit_bytes)
        self._outbox = Outbox(self._journal, site=config.site, device=config.device)
        self._sweeplog = SweepLog(self._journal)
        self._keeper = RunKeeper(self._journal, self._outbox, self._sweeplog)
        self._activation = Activation(state_dir / _STANDING_NAME)
        self._effort = Effort(min_seconds=config.min_seconds, min_runs=config.min_runs)
        limits = Limits(
            timeout_s=config.timeout_s,
            memory_limit_bytes=config.memory_limit_bytes,
        )
        self._supervisor = Supervisor(limits, stop=stop, root=root)
        self._desires: queue.SimpleQueue[Desired] = queue.SimpleQueue()
        self._courier = Courier(
            config.broker_address,
            site=config.site,
            device=config.device,
            boot_id=uuid.uuid4().hex,
            outbox=self._outbox,
            on_desired=self._desires.put,
            patience=patience,
        )
        self._watch = SetWatch(self._folder)
        self._shelf: Shelf | None = None
        self._engines: list[str] = []
        self._fingerprint = self._take_fingerprint()

    def run(self, *, once: bool) -> None:
        """Work until stopped; with `once`, until the fleet has acknowledged one sweep.

        Raises:
            BundleError: with `once`, the bundle set cannot be read.
            JournalError: the state folder cannot be used.
        """
        try:
            self._engines = self._list_engines()
            self._reopen_shelf(must=once)
            self._report()
            self._courier.start()
            try:
                self._work(once=once)
            finally:
                self._courier.stop()
        except StoppedError as error:
            _log.info("stopped", extra=fields(reason=error))
        finally:
            self._journal.close()
            self._lock.close()

    def _work(self, *, once: bool) -> None:
        while not self._stop.is_set():
            try:
                self._keeper.flush()
                self._sweep_what_is_missing()
                self._follow_desires()
                if once and self._is_delivered():
                    _log.info("all_delivered", extra=fields(bundles=self._folder))
                    return
                self._look_around()
            except JournalError as error:
                # A disk may be full for a while; the agent outlives that.
                _log.error("journal_unusable", extra=fields(error=error))
            self._stop.wait(_LOOK_SECONDS)

    def _is_delivered(self) -> bool:
        return self._keeper.backlog == 0 and self._outbox.unacknowledged() == 0

    def _look_around(self) -> None:
        """Notice another bundle set or another environment."""
        now = self._take_fingerprint()
        if now != self._fingerprint:
            _log.info("environment_changed", extra=fields(was=self._fingerprint, now=now))
            self._fingerprint = now
            self._announce()
        if self._watch.has_changed():
            self._reopen_shelf(must=False)
            desired = self._activation.standing.desired
            if desired is not None:
                # Other bundles: what could not be served before may be served now.
                self._decide(desired)

    def _reopen_shelf(self, *, must: bool) -> None:
        self._watch.has_changed()
        try:
            self._shelf = open_shelf(self._folder)
        except BundleError as error:
            if must:
                raise
            self._shelf = None
            _log.error("bundles_unreadable", extra=fields(error=error))
        else:
            for one in self._shelf.unreadable:
                extra = fields(variant=one.member.variant, reason=one.reason)
                _log.error("bundle_unreadable", extra=extra)
        self._announce()

    def _sweep_what_is_missing(self) -> None:
        """Measure what the present sweep lacks, looking for desires between the runs."""
        shelf = self._shelf
        # With results that the disk refused still in hand, more would only pile up.
        if shelf is None or self._keeper.backlog > 0:
            return
        state = self._present_sweep(shelf)
        if state.finished_at is not None:
            return
        jobs = [
            job
            for job in plan(shelf, self._config.threads)
            if (job.bundle.member.variant, job.threads) not in state.done
        ]
        sweep = self._sweep(shelf, state)
        extra = fields(sweep_id=state.sweep_id, runs=len(jobs), done=len(state.done))
        _log.info("sweep_begins", extra=extra)
        for run in sweep.runs(jobs):
            self._keeper.keep(run)
            self._follow_desires()
        if self._keeper.backlog == 0:
            self._sweeplog.finish(state.sweep_id, at=time.time())
            _log.info("sweep_ends", extra=fields(sweep_id=state.sweep_id))

    def _present_sweep(self, shelf: Shelf) -> SweepState:
        """The last sweep where it still holds, else a new one."""
        bundle_set = shelf.bundle_set
        state = self._sweeplog.latest(baseline=bundle_set.baseline)
        if (
            state is not None
            and (state.set_id, state.fingerprint) == (bundle_set.set_id, self._fingerprint)
            and not self._is_stale(state)
        ):
            return state
        return self._sweeplog.begin(set_id=bundle_set.set_id, fingerprint=self._fingerprint)

    def _is_stale(self, state: SweepState) -> bool:
        hours = self._config.rebench_hours
        if state.finished_at is None or hours is None:
            return False
        return time.time() - state.finished_at > hours * _SECONDS_PER_HOUR

    def _sweep(self, shelf: Shelf, state: SweepState) -> Sweep:
        return Sweep(
            shelf,
            sweep_id=state.sweep_id,
            fingerprint=self._fingerprint,
            effort=self._effort,
            supervisor=self._supervisor,
            root=self._root,
            baselines_ms=state.baselines_ms,
        )

    def _follow_desires(self) -> None:
        """Decide on the newest desired state that came since the last look."""
        newest: Desired | None = None
        while True:
            try:
                desired = self._desires.get_nowait()
            except queue.Empty:
                break
            if newest is None or desired.generation > newest.generation:
                newest = desired
        if newest is None:
            return
        if self._activation.is_news(newest):
            self._decide(newest)
        else:
            _log.debug("desired_known", extra=fields(generation=newest.generation))

    def _decide(self, desired: Desired) -> None:
        """Adopt what is desired or refuse it with a reason; on the disk before it is said."""
        reason = self._obstacle(desired)
        standing = self._activation.standing
        new = standing.refusing(desired, reason) if reason else standing.adopting(desired)
        try:
            self._activation.settle(new)
        except JournalError as error:
            # The desired state is retained, so it comes again with the next connection.
            _log.error("standing_not_kept", extra=fields(error=error))
            return
        _log.info(
            "desired_settled",
            extra=fields(
                generation=new.generation,
                phase=new.phase.value,
                active=new.active_variant,
                reason=new.reason,
            ),
        )
        self._report()

    def _obstacle(self, desired: Desired) -> str | None:
        """Why a desired variant cannot be served here, or None."""
        shelf = self._shelf
        if shelf is None:
            return f"{self._folder}: the bundle set cannot be read on this device"
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
        verdict = self._sweeplog.verdict(desired.sha256, fingerprint=self._fingerprint)
        if verdict is None:
            state = self._present_sweep(shelf)
            run = self._sweep(shelf, state).run(Job(bundle=bundle, threads=desired.threads))
            self._keeper.keep(run)
            return _complaint(run.status, run.reason)
        return _complaint(verdict.status, verdict.reason)

    def _announce(self) -> None:
        self._courier.say(
            take_inventory(
                self._config,
                root=self._root,
                fingerprint=self._fingerprint,
                engines=self._engines,
                shelf=self._shelf,
            ),
        )

    def _report(self) -> None:
        standing: Standing = self._activation.standing
        self._courier.say(
            Update(
                site=self._config.site,
                device=self._config.device,
                at=time.time(),
                phase=standing.phase,
                active_variant=standing.active_variant,
                active_sha256=standing.active_sha256,
                generation=standing.generation,
                reason=standing.reason,
            ),
        )

    def _list_engines(self) -> list[str]:
        outcome = self._supervisor.perform(ListEngines(threads=1))
        answer = last_event(outcome, Engines)
        if answer is None:
            _log.error("torch_unusable", extra=fields(reason=outcome.reason))
            return []
        return answer.engines

    def _take_fingerprint(self) -> str:
        return fingerprint(
            self._root,
            usable_cores=len(usable_cores()),
            memory_limit_bytes=self._config.memory_limit_bytes,
        )


def _complaint(status: RunStatus, reason: str | None) -> str | None:
    if status is RunStatus.OK:
        return None
    return f"it does not run here: {status.value}: {reason}"
