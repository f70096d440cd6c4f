"""The collector: receive, validate, store, and only then acknowledge."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from fleet.collecting.decider import Decider
from fleet.collecting.intake import Intake, Receipt
from fleet.collecting.source import Source
from fleet.errors import StoreFailedError, StoreUnavailableError
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.store.acks import acks_of
from fleet.store.database import Database
from fleet.store.rollout import current_desired, desired_since, latest_decision
from fleet.store.roster import device_ids

_log = logging.getLogger(__name__)

#: One fsync a batch: at 1,000 small results it is no longer what limits the rate, and a batch
#: takes a tenth of a second.
_BATCH = 1000
_IDLE_S = 0.2
#: While messages come, devices are told once in so long how far their results are safe, not
#: after each; and where none came for a moment.
_ACK_EVERY_S, _MOMENT_S = 1.0, 0.02
#: Acknowledged before the source closes at a stop; a device that floods cannot prolong it.
_LAST_BATCHES = 10
_STORE_RETRY_S = 1.0
#: A store that fails so often at one batch, and does not say why, is taken to fail at a message.
_UNEXPLAINED_FAILURES = 3
#: Devices are decided on once in so long, not after each batch.
_DECIDE_EVERY_S = 0.5
#: Devices decided on in one go. Nothing is stored meanwhile: a fraction of a second, or a few
#: hundredths while messages come.
_DECIDE_AT_REST, _DECIDE_UNDER_LOAD = 2000, 200
#: While messages come, at most this share of the time goes into deciding. Whoever asks for a
#: recommendation brings it up to date in any case.
_DECIDE_SHARE = 0.05
#: Once in so long, what others stored as desired states is published: who stored them may not have
#: reached the broker.
_LOOK_FOR_DESIRED_EVERY_S = 10.0
_DECIDE_PATIENCE_S = 5.0


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What the collector did with one batch, for those who count.

    `receipt` is None where the batch could not be stored before the collector was told to stop.
    """

    messages: int
    receipt: Receipt | None
    #: Times that the store did not take it.
    failures: int
    #: From receipt of the oldest message until all were durable, by this machine's clock.
    lag_s: float
    #: Devices that wait for an acknowledgement.
    unacknowledged: int


class Collector:
    """Moves what devices say from a source into a store until told to stop."""

    def __init__(
        self,
        database: Database,
        source: Source,
        *,
        on_ready: Callable[[], None],
        clock: Callable[[], float] = time.time,
        on_turn: Callable[[Turn], None] = lambda _: None,
        decider: Decider | None = None,
        batch: int = _BATCH,
    ) -> None:
        """Prepare; `on_ready` is called at the first time that the broker delivers to us.

        `on_turn` is called once a batch. Without a decider, whoever asks for a recommendation
        decides. `batch` is how many messages are stored at once at most.
        """
        self._database = database
        self._intake = Intake(database)
        self._source = source
        self._on_ready = on_ready
        self._clock = clock
        self._on_turn = on_turn
        self._failures = 0
        self._is_ready = False
        #: Outboxes of devices that wait for an acknowledgement.
        self._to_ack: dict[int, set[int]] = {}
        self._acked_at = 0.0
        self._decider = decider
        self._batch = batch
        self._decide_at = 0.0
        #: The latest decision whose desired state was published.
        self._decision_published = 0
        self._look_for_desired_at = 0.0

    def run(self, stop: threading.Event) -> None:
        """Collect until `stop` is set, then store what was received by then."""
        self._source.open()
        # What waits at the start is stored first.
        self._decide_at = time.monotonic() + _DECIDE_EVERY_S
        try:
            while not stop.is_set():
                self._step(stop, wait_s=_IDLE_S)
            # While the source still stands, so that what is waiting is acknowledged too.
            for _ in range(_LAST_BATCHES):
                if not self._step(stop, wait_s=0.0):
                    break
        finally:
            self._source.close()
        while self._step(stop, wait_s=0.0):
            pass

    def _step(self, stop: threading.Event, *, wait_s: float) -> bool:
        if self._to_ack:
            wait_s = min(wait_s, _MOMENT_S)
        waiting = self._source.receive(at_most=self._batch, wait_s=wait_s)
        deliveries = [
            item for item in waiting if isinstance(item, Delivery) and not item.only_clears
        ]
        self._publish_desired(is_greeting=any(isinstance(item, Subscribed) for item in waiting))
        if deliveries:
            receipt = self._store(deliveries, stop)
            if receipt is not None:
                self._source.settle(deliveries)
                for device_id, outboxes in receipt.to_ack.items():
                    self._to_ack.setdefault(device_id, set()).update(outboxes)
                if self._decider is not None:
                    self._decider.touch(receipt.to_decide)
            self._tell(deliveries, receipt)
        if self._to_ack and (not waiting or time.monotonic() - self._acked_at > _ACK_EVERY_S):
            self._acknowledge()
        elif not waiting:
            self._decide(at_most=_DECIDE_AT_REST)
        elif time.monotonic() > self._decide_at:
            self._decide(at_most=_DECIDE_UNDER_LOAD)
        return bool(waiting)

    def _decide(self, *, at_most: int) -> None:
        if self._decider is None or self._decider.is_idle(now=self._clock()):
            return
        began_at = time.monotonic()
        try:
            self._decider.work(now=self._clock(), at_most=at_most)
        except StoreUnavailableError as error:
            # They stay to be decided on.
            _log.error("store out of order, deciding later reason=%s", error)
        now = time.monotonic()
        rest_s = min(_DECIDE_PATIENCE_S, (now - began_at) / _DECIDE_SHARE)
        self._decide_at = now + max(_DECIDE_EVERY_S, rest_s)

    def _publish_desired(self, *, is_greeting: bool) -> None:
        """Publish the desired states that were stored since the last look, or all at a greeting."""
        if is_greeting:
            self._greet()
        if not self._is_ready or time.monotonic() < self._look_for_desired_at:
            return
        self._look_for_desired_at = time.monotonic() + _LOOK_FOR_DESIRED_EVERY_S
        try:
            with self._database.reading() as connection:
                latest = latest_decision(connection)
                if latest <= self._decision_published:
                    return
                desired = desired_since(connection, self._decision_published)
        except StoreUnavailableError as error:
            _log.error("store out of order, looking for desired states later reason=%s", error)
            return
        self._source.publish(desired)
        self._decision_published = latest

    def _acknowledge(self) -> None:
        try:
            acks = self._intake.acks(self._to_ack, now=self._clock())
        except StoreUnavailableError as error:
            # They stay to be acknowledged; devices wait.
            _log.error("store out of order, trying again reason=%s", error)
            return
        self._source.publish(acks)
        self._to_ack.clear()
        self._acked_at = time.monotonic()

    def _store(self, deliveries: Sequence[Delivery], stop: threading.Event) -> Receipt | None:
        """Store a batch, however long the store is out of order; None when told to stop first.

        What is given up at a stop was not acknowledged: devices send it again.
        """
        unexplained = 0
        while True:
            try:
                receipt = self._intake.take(
                    deliveries,
                    now=self._clock(),
                    isolates_failures=unexplained >= _UNEXPLAINED_FAILURES,
                )
            except StoreUnavailableError as error:
                unexplained += isinstance(error, StoreFailedError)
                self._failures += 1
                _log.error("store out of order, trying again reason=%s", error)
                if stop.wait(_STORE_RETRY_S):
                    _log.error(
                        "stopped with %d messages not stored; devices keep them", len(deliveries)
                    )
                    return None
                continue
            _log.debug(
                "stored results=%d duplicates=%d quarantined=%d messages=%d",
                receipt.stored,
                receipt.duplicates,
                receipt.quarantined,
                len(deliveries),
            )
            return receipt

    def _tell(self, deliveries: Sequence[Delivery], receipt: Receipt | None) -> None:
        oldest = min(delivery.received_at for delivery in deliveries)
        failures, self._failures = self._failures, 0
        self._on_turn(
            Turn(
                messages=len(deliveries),
                receipt=receipt,
                failures=failures,
                # The clock may have been set back meanwhile.
                lag_s=max(0.0, self._clock() - oldest),
                unacknowledged=len(self._to_ack),
            )
        )

    def _greet(self) -> None:
        """Publish again what the broker may have forgotten: acks and desired states."""
        try:
            with self._database.reading() as connection:
                acks = acks_of(connection, device_ids(connection), self._clock())
                desired = current_desired(connection)
                latest = latest_decision(connection)
        except StoreUnavailableError as error:
            _log.error("store out of order at greeting reason=%s", error)
            return
        self._source.publish([*acks, *desired])
        self._decision_published = latest
        self._look_for_desired_at = time.monotonic() + _LOOK_FOR_DESIRED_EVERY_S
        if not self._is_ready:
            self._is_ready = True
            self._on_ready()
