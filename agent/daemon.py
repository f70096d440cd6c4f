"""The agent at work: measures the bundle set, delivers, follows what the fleet desires."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
import uuid
from pathlib import Path

from agent.activation import STANDING_NAME, Activation
from agent.affinity import usable_cores
from agent.bell import Bell
from agent.bundles import Shelf, open_shelf
from agent.config import AgentConfig
from agent.courier import Courier, Patience
from agent.errors import JournalBrokenError, JournalError, StoppedError
from agent.fingerprint import fingerprint
from agent.follower import Follower
from agent.inventory import take_inventory
from agent.keeper import RunKeeper
from agent.logs import fields
from agent.observation import Taken
from agent.protocol import Engines, ListEngines
from agent.questions import Questions
from agent.rebench import Rebench
from agent.respondent import Respondent
from agent.salvage import open_outbox
from agent.samples import SampleArchive
from agent.schedule import Job, plan
from agent.serving.report import ServingReport
from agent.serving_child import ServingChild, serve_command
from agent.statelock import hold_state_dir
from agent.supervisor import Limits, Supervisor
from agent.sweep import Sweep
from agent.sweeplog import SweepLog, SweepState
from agent.systemd import Notifier
from agent.watch import SetWatch
from agent.watchdog import Pulse, Watchdog
from contract.errors import BundleError
from contract.messages import Desired

_log = logging.getLogger(__name__)

_JOURNAL_NAME = "agent.sqlite"
_SAMPLES_NAME = "samples"
#: What rings no bell: another bundle set, a disk that takes writes again, a sweep grown old.
_LOOK_SECONDS = 2.0
#: A governor or a kernel changes rarely, and looking is not free.
_ENVIRONMENT_SECONDS = 15.0
_IDLE = "idle: everything is measured"
_NOTHING_TO_MEASURE = "waiting: the bundle set cannot be read"
#: What a worker takes before it measures, on a slow box: most of it is importing torch.
_START_SECONDS = 5.0


class Daemon:
    """One device's agent.

    Args:
        config: everything that it needs to know.
        stop: set from elsewhere (a signal) to end it.
        bell: rung when `stop` is set, so that it need not be looked at.
        root: where `/proc` and `/sys` are found.
        patience: how long the courier waits before trying again.
        notifier: whoever supervises this process.
    """

    def __init__(
        self,
        config: AgentConfig,
        *,
        stop: threading.Event,
        bell: Bell,
        root: Path = Path("/"),
        patience: Patience | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self._config = config
        self._stop = stop
        self._bell = bell
        self._root = root
        self._folder = Path(config.bundles)
        state_dir = Path(config.state_dir)
        self._lock = hold_state_dir(state_dir)
        self._journal, self._outbox = open_outbox(
            state_dir / _JOURNAL_NAME,
            limit_bytes=config.outbox_limit_bytes,
            site=config.site,
            device=config.device,
        )
        self._sweeplog = SweepLog(self._journal)
        self._keeper = RunKeeper(self._journal, self._outbox, self._sweeplog)
        self._rebench = Rebench(config.rebench_hours)
        self._archive = SampleArchive(state_dir / _SAMPLES_NAME)
        self._effort = config.effort
        limits = Limits(
            timeout_s=config.timeout_s,
            memory_limit_bytes=config.memory_limit_bytes,
        )
        self._supervisor = self._supervise(limits)
        self._notifier = notifier or Notifier(None)
        pulse = Pulse()
        self._watchdog = Watchdog(self._notifier, [pulse])
        patience = patience or Patience()
        idle_s = self._watchdog.turn_s(patience.idle_s)
        self._courier = Courier(
            config.broker_address,
            access=config.broker_access,
            site=config.site,
            device=config.device,
            boot_id=uuid.uuid4().hex,
            outbox=self._outbox,
            patience=dataclasses.replace(patience, idle_s=idle_s),
            pulse=pulse,
        )
        self._questions = Questions(send=self._courier.answer, on_question=bell.ring)
        self._respondent = Respondent(limits, supervise=self._supervise, send=self._courier.answer)
        self._activation = Activation(state_dir / STANDING_NAME)
        self._follower = Follower(
            self._activation,
            self._sweeplog,
            site=config.site,
            device=config.device,
            say=self._courier.say,
        )
        self._server: ServingChild | None = None
        self._watch = SetWatch(self._folder)
        self._shelf: Shelf | None = None
        self._engines: list[str] = []
        #: What the last run took: the next one may take as long.
        self._turn_s = config.min_seconds + _START_SECONDS
        self._fingerprint = self._take_fingerprint()
        self._environment_due = time.monotonic() + _ENVIRONMENT_SECONDS

    def run(self, *, once: bool) -> None:
        """Work until stopped; with `once`, until the fleet has acknowledged one sweep.

        Raises:
            BundleError: with `once`, the bundle set cannot be read.
            JournalError: the state folder cannot be used.
        """
        try:
            self._reopen_shelf(must=once)
            if not once:
                self._start_server()
            self._follower.report()
            self._courier.start(
                on_desired=self._hear,
                on_request=self._questions.hear,
                on_ack=self._bell.ring,
            )
            self._notifier.ready()
            try:
                # Announced before this: asking torch takes seconds, in a process of its own.
                with self._questions.occupied("starting", about_s=_START_SECONDS):
                    self._engines = self._list_engines()
                self._announce()
                self._work(once=once)
            finally:
                self._notifier.stopping()
                self._questions.close("the agent was stopped")
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
        self._server = ServingChild(words, on_report=self._hear_server)
        self._follower.expect_server()
        self._server.start()

    def _work(self, *, once: bool) -> None:
        while not self._stop.is_set():
            self._beat()
            try:
                self._flush()
                self._answer_questions()
                self._sweep_what_is_missing()
                self._follow()
                self._notifier.status(_IDLE if self._shelf else _NOTHING_TO_MEASURE)
                if once and self._is_delivered():
                    _log.info("all_delivered", extra=fields(bundles=self._folder))
                    return
                self._look_around()
            except JournalBrokenError:
                raise
            except JournalError as error:
                # A disk may be full for a while; the agent outlives that.
                _log.error("journal_unusable", extra=fields(error=error))
            self._bell.wait(self._watchdog.turn_s(_LOOK_SECONDS))

    def _hear(self, desired: Desired) -> None:
        self._follower.hear(desired)
        self._bell.ring()

    def _hear_server(self, report: ServingReport) -> None:
        self._follower.hear_server(report)
        self._bell.ring()

    def _flush(self) -> None:
        if self._keeper.backlog > 0:
            self._keeper.flush()
            self._courier.collect()

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
        wanted = plan(shelf, self._config.threads, frozenset(self._config.variants) or None)
        jobs = [job for job in wanted if job.key not in state.done]
        # The configuration may name more than it did when the sweep was finished.
        if state.finished_at is not None and not jobs:
            return
        sweep = self._sweep(shelf, state)
        extra = fields(
            sweep_id=state.sweep_id,
            runs=len(jobs),
            turns=len(sweep.turns(jobs)),
            taken=len(state.taken),
        )
        _log.info("sweep_begins", extra=extra)
        self._notifier.status(f"measuring: {len(jobs)} runs to do")
        for finished in sweep.finish(jobs):
            self._archive.keep(finished)
            self._keeper.keep(finished.run)
            self._courier.collect()
            self._follow()
            self._answer_questions()
        if self._keeper.backlog == 0 and self._has_all(state.sweep_id, jobs):
            self._sweeplog.finish(state.sweep_id, at=time.time())
            _log.info("sweep_ends", extra=fields(sweep_id=state.sweep_id))

    def _has_all(self, sweep_id: str, jobs: list[Job]) -> bool:
        """Whether every run is on record: a disk that refused many for long cost the oldest."""
        return self._sweeplog.done(sweep_id).issuperset(job.key for job in jobs)

    def _note(self, sweep_id: str, taken: Taken) -> None:
        """Note a turn that was taken, and look for desires and questions between the turns."""
        variant, threads = taken.key
        self._turn_s = taken.observation.duration_s
        extra = fields(
            variant=variant, threads=threads, turn=taken.number, p50_ms=taken.observation.p50_ms
        )
        try:
            self._sweeplog.note(sweep_id, taken)
        except JournalBrokenError:
            raise
        except JournalError as error:
            # The sweep holds it in memory; only a restart would take the turn again.
            extra |= fields(error=error)
            _log.error("turn_not_noted", extra=extra)
        else:
            _log.info("turn_taken", extra=extra)
        self._follow()
        self._answer_questions()

    def _answer_questions(self) -> None:
        while (question := self._questions.take()) is not None:
            active = self._activation.standing.active_variant
            self._respondent.respond(question, self._shelf, active=active)

    def _present_sweep(self, shelf: Shelf) -> SweepState:
        """The last sweep where it still holds, else a new one."""
        bundle_set = shelf.bundle_set
        state = self._sweeplog.latest()
        if (
            state is not None
            and (state.set_id, state.fingerprint) == (bundle_set.set_id, self._fingerprint)
            and not self._rebench.is_due(state)
        ):
            return state
        return self._sweeplog.begin(set_id=bundle_set.set_id, fingerprint=self._fingerprint)

    def _sweep(self, shelf: Shelf, state: SweepState) -> Sweep:
        return Sweep(
            shelf,
            sweep_id=state.sweep_id,
            fingerprint=self._fingerprint,
            effort=self._effort,
            supervisor=self._supervisor,
            root=self._root,
            taken=state.taken,
            during=lambda _turn: self._questions.occupied("measuring", about_s=self._turn_s),
            on_taken=lambda taken: self._note(state.sweep_id, taken),
        )

    def _supervise(self, limits: Limits) -> Supervisor:
        return Supervisor(limits, stop=self._stop, root=self._root, on_look=self._beat)

    def _beat(self) -> None:
        """Show that this thread is alive, many times a second while a worker runs."""
        self._watchdog.turn()
        self._questions.expire()

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
