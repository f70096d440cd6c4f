"""The agent at work: measures the bundle set, delivers, follows what the fleet desires."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from pathlib import Path

from agent.activation import STANDING_NAME, Activation
from agent.affinity import usable_cores
from agent.bench import Effort
from agent.bundles import Shelf, open_shelf
from agent.config import AgentConfig
from agent.courier import Courier, Patience
from agent.errors import JournalError, StoppedError
from agent.fingerprint import fingerprint
from agent.follower import Follower
from agent.inventory import take_inventory
from agent.journal import Journal
from agent.keeper import RunKeeper
from agent.logs import fields
from agent.outbox import Outbox
from agent.protocol import Engines, ListEngines
from agent.serving_child import ServingChild, serve_command
from agent.statelock import hold_state_dir
from agent.supervisor import Limits, Supervisor
from agent.sweep import Sweep, plan
from agent.sweeplog import SweepLog, SweepState
from agent.watch import SetWatch
from contract.errors import BundleError

_log = logging.getLogger(__name__)

_JOURNAL_NAME = "agent.sqlite"
_LOOK_SECONDS = 1.0
#: A governor or a kernel changes rarely, and looking is not free.
_ENVIRONMENT_SECONDS = 15.0
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
        self._effort = Effort(min_seconds=config.min_seconds, min_runs=config.min_runs)
        limits = Limits(
            timeout_s=config.timeout_s,
            memory_limit_bytes=config.memory_limit_bytes,
        )
        self._supervisor = Supervisor(limits, stop=stop, root=root)
        self._courier = Courier(
            config.broker_address,
            site=config.site,
            device=config.device,
            boot_id=uuid.uuid4().hex,
            outbox=self._outbox,
            patience=patience,
        )
        self._follower = Follower(
            Activation(state_dir / STANDING_NAME),
            self._sweeplog,
            site=config.site,
            device=config.device,
            say=self._courier.say,
        )
        self._server: ServingChild | None = None
        self._watch = SetWatch(self._folder)
        self._shelf: Shelf | None = None
        self._engines: list[str] = []
        self._fingerprint = self._take_fingerprint()
        self._environment_due = time.monotonic() + _ENVIRONMENT_SECONDS

    def run(self, *, once: bool) -> None:
        """Work until stopped; with `once`, until the fleet has acknowledged one sweep.

        Raises:
            BundleError: with `once`, the bundle set cannot be read.
            JournalError: the state folder cannot be used.
        """
        try:
            if not once:
                self._start_server()
            self._engines = self._list_engines()
            self._reopen_shelf(must=once)
            self._follower.report()
            self._courier.start(on_desired=self._follower.hear)
            try:
                self._work(once=once)
            finally:
                self._courier.stop()
        except StoppedError as error:
            _log.info("stopped", extra=fields(reason=error))
        finally:
            if self._server:
                self._server.stop()
            self._journal.close()
            self._lock.close()

    def _start_server(self) -> None:
        """Serve beside measuring, in a process of its own, where that is asked for."""
        if self._config.serve_port is None:
            return
        words = serve_command(self._config)
        self._server = ServingChild(words, on_report=self._follower.hear_server)
        self._follower.expect_server()
        self._server.start()

    def _work(self, *, once: bool) -> None:
        while not self._stop.is_set():
            try:
                self._keeper.flush()
                self._sweep_what_is_missing()
                self._follow()
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
        if self._watch.has_changed():
            self._reopen_shelf(must=False)
            # Other bundles: what could not be served before may be served now.
            self._follower.reconsider()
        if time.monotonic() < self._environment_due:
            return
        self._environment_due = time.monotonic() + _ENVIRONMENT_SECONDS
        now = self._take_fingerprint()
        if now != self._fingerprint:
            _log.info("environment_changed", extra=fields(was=self._fingerprint, now=now))
            self._fingerprint = now
            self._announce()

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
            self._follow()
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

    def _follow(self) -> None:
        self._follower.follow(self._shelf, fingerprint=self._fingerprint)

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

    def _list_engines(self) -> list[str]:
        outcome = self._supervisor.perform(ListEngines(threads=1))
        answer = outcome.last_event(Engines)
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
