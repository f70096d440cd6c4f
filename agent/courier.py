"""Keeps the device connected, announces it, and carries the outbox to the fleet."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from agent.bell import Bell
from agent.errors import JournalError, LinkError
from agent.ignored_outbox import IgnoredAfter, IgnoredOutbox
from agent.letters import Letters
from agent.link import Link
from agent.logs import fields
from agent.outbox import Outbox
from agent.watchdog import Pulse
from contract.access import Access, client_name_of
from contract.address import BrokerAddress
from contract.errors import ContractError, MessageError
from contract.messages import (
    Ack,
    Desired,
    Inventory,
    Presence,
    State,
    Update,
    decode_message,
    encode_message,
)
from contract.question import Answer, AnswerStatus, Request
from contract.topics import Leaf, topic_for

_log = logging.getLogger(__name__)

#: paho's own queue is memory only, so it gets a few messages at a time.
_WINDOW = 8
_FAREWELL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait before trying again, in seconds."""

    #: Each wait is drawn between zero and a bound that doubles up to the last: a thousand
    #: devices must not come back in the same second.
    reconnect_first_s: float = 0.5
    reconnect_most_s: float = 30.0
    #: A message that the fleet did not acknowledge is sent again, later each time.
    resend_first_s: float = 5.0
    resend_most_s: float = 60.0
    #: An outbox that the fleet never names is given up then.
    ignored_after: IgnoredAfter = field(default_factory=IgnoredAfter)
    #: The retained desired state is read again, in case the broker lost it on the way. An
    #: acknowledgement comes again after every resend, and a question when it is asked again.
    reread_s: float = 600.0
    #: Longest sleep with nothing to do: well within the keepalive, which is sent when awake.
    idle_s: float = 10.0


@dataclass(kw_only=True)
class _Trip:
    """One message on its way."""

    due_at: float
    wait_s: float


class Courier:
    """Runs in a thread of its own until `stop`.

    Args:
        address: where the broker is.
        access: how the broker and this device prove themselves to each other.
        site: the device's site.
        device: the device.
        boot_id: name of this start of the agent.
        outbox: what to deliver.
        patience: how long to wait before trying again.
        pulse: beaten as long as the courier is alive.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        access: Access | None = None,
        site: str,
        device: str,
        boot_id: str,
        outbox: Outbox,
        patience: Patience | None = None,
        pulse: Pulse | None = None,
    ) -> None:
        self._address = address
        self._access = access or Access()
        self._site = site
        self._device = device
        self._boot_id = boot_id
        self._outbox = outbox
        self._on_desired: Callable[[Desired], None] = lambda _desired: None
        self._on_request: Callable[[Request], None] = lambda _request: None
        self._on_ack: Callable[[], None] = lambda: None
        self._patience = patience or Patience()
        self._pulse = pulse or Pulse()
        self._connection_number = 0
        #: Connections in a row that were not made, or not of use.
        self._failures = 0
        self._stopping = threading.Event()
        self._bell = Bell()
        self._letters = Letters()
        self._lock = threading.Lock()
        #: Latest word per retained leaf, and what of it the broker already has.
        self._words: dict[Leaf, bytes] = {}
        self._said: dict[Leaf, bytes] = {}
        self._trips: dict[int, _Trip] = {}
        self._crowd: set[int] = set()
        self._epoch = ""
        self._ignored = IgnoredOutbox(self._patience.ignored_after)
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(
        self,
        *,
        on_desired: Callable[[Desired], None],
        on_request: Callable[[Request], None] = lambda _request: None,
        on_ack: Callable[[], None] = lambda: None,
    ) -> None:
        """Begin to connect; what is given is called in the courier's thread.

        Args:
            on_desired: hears every desired state.
            on_request: hears every question.
            on_ack: called when the fleet stored something.
        """
        self._on_desired = on_desired
        self._on_request = on_request
        self._on_ack = on_ack
        self._thread.start()

    def stop(self) -> None:
        """Say offline, disconnect, and end the thread."""
        self._stopping.set()
        self._bell.ring()
        self._thread.join()
        self._bell.close()

    def collect(self) -> None:
        """Look into the outbox now: something was put there."""
        self._bell.ring()

    def say(self, message: Inventory | Update) -> None:
        """Publish a retained message now and after every reconnect, until the next one."""
        leaf = Leaf.INVENTORY if isinstance(message, Inventory) else Leaf.UPDATE
        with self._lock:
            self._words[leaf] = encode_message(message)
        self._bell.ring()

    def answer(self, answer: Answer) -> None:
        """Publish an answer once, as soon as the broker takes it.

        One that is too large for the wire becomes `failed`, with that as its reason.
        """
        try:
            payload = encode_message(answer)
        except MessageError as error:
            _log.warning("answer_too_large", extra=fields(id=answer.id, error=error))
            status, reason = AnswerStatus.FAILED, f"the answer is too large: {error}"
            payload = encode_message(
                msgspec.structs.replace(answer, status=status, reason=reason, top=[])
            )
        self._letters.post(self._topic(Leaf.ANSWER), payload)
        self._bell.ring()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._connect() as link:
                    self._attend(link)
            except LinkError as error:
                self._failures += 1
                wait_s = self._reconnect_wait_s(self._failures)
                extra = fields(broker=self._address, error=error, again_in_s=wait_s)
                _log.info("broker_away", extra=extra)
                self._pause(wait_s)
            except Exception:  # noqa: BLE001 - what nobody foresaw must not silence the device
                _log.exception("courier_failed")
                self._pause(self._patience.reconnect_most_s)

    def _pause(self, wait_s: float) -> None:
        """Wait, but for a stop; what rings meanwhile waits as well."""
        until = time.monotonic() + wait_s
        while (left_s := until - time.monotonic()) > 0 and not self._stopping.is_set():
            self._pulse.beat()
            self._stopping.wait(min(left_s, self._patience.idle_s))
        self._pulse.beat()

    def _reconnect_wait_s(self, failures: int) -> float:
        bound = self._patience.reconnect_first_s * 2 ** min(failures - 1, 16)
        # A wait of zero would make a refused connection a busy loop.
        bound = min(bound, self._patience.reconnect_most_s)
        return random.uniform(bound / 4, bound)  # noqa: S311 - spreads load, guards no secret

    def _connect(self) -> Link:
        self._connection_number += 1
        link = Link.open(
            self._address,
            access=self._access,
            client_name=client_name_of(self._site, self._device),
            will_topic=self._topic(Leaf.STATE),
            will=encode_message(self._state(Presence.OFFLINE)),
            on_message=self._receive,
            should_stop=self._stopping.is_set,
        )
        extra = fields(broker=self._address, connection=self._connection_number)
        _log.info("broker_connected", extra=extra)
        return link

    def _attend(self, link: Link) -> None:
        """Serve one connection until it is lost or the courier stops."""
        self._said.clear()
        self._trips.clear()
        self._crowd.clear()
        self._ignored.connected()
        self._letters.connection_lost()
        # The retained acknowledgement comes first, lest stored results are sent again.
        topics = [self._topic(leaf) for leaf in (Leaf.ACK, Leaf.DESIRED, Leaf.REQUEST)]
        link.subscribe(topics, should_stop=self._stopping.is_set)
        # Not before: a broker that lets devices in and refuses this has too many already.
        self._failures = 0
        reread_at = time.monotonic() + self._patience.reread_s
        online = encode_message(self._state(Presence.ONLINE))
        link.publish(self._topic(Leaf.STATE), online, retain=True)
        link.step()
        while not self._stopping.is_set():
            self._pulse.beat()
            if time.monotonic() >= reread_at:
                link.subscribe([self._topic(Leaf.DESIRED)], should_stop=self._stopping.is_set)
                reread_at = time.monotonic() + self._patience.reread_s
            self._speak(link)
            self._post(link)
            link.step(self._deliver(link), bell=self._bell)
            delivered = link.take_delivered()
            self._crowd -= delivered
            self._ignored.confirmed(delivered)
            self._letters.delivered(delivered)
        self._post(link)
        self._part(link)

    def _speak(self, link: Link) -> None:
        with self._lock:
            words = dict(self._words)
        for leaf, payload in words.items():
            if self._said.get(leaf) != payload:
                link.publish(self._topic(leaf), payload, retain=True)
                self._said[leaf] = payload

    def _post(self, link: Link) -> None:
        self._letters.send_all(lambda one: link.publish(one.topic, one.payload, retain=False))

    def _deliver(self, link: Link) -> float:
        """Send what is due; returns the seconds until something else may be."""
        now = time.monotonic()
        room = _WINDOW - len(self._crowd)
        if room <= 0:
            # The broker's next acknowledgement makes room, and ends the sleep.
            return self._patience.idle_s
        try:
            epoch = self._outbox.epoch
            if epoch != self._epoch:
                self._epoch = epoch
                self._trips.clear()
                self._ignored.reset()
            waiting = [seq for seq, trip in self._trips.items() if trip.due_at > now]
            parcels = self._outbox.pending(room, besides=waiting)
        except JournalError as error:
            _log.error("outbox_unreadable", extra=fields(error=error))
            return self._patience.idle_s
        for parcel in parcels:
            mid = link.publish(self._topic(Leaf.RESULT), parcel.payload, retain=False)
            self._crowd.add(mid)
            last = self._trips.get(parcel.seq)
            self._ignored.sent(mid, is_resend=last is not None)
            wait_s = min(last.wait_s * 2, self._patience.resend_most_s) if last else 0.0
            wait_s = wait_s or self._patience.resend_first_s
            self._trips[parcel.seq] = _Trip(due_at=now + wait_s, wait_s=wait_s)
            _log.debug("result_sent", extra=fields(seq=parcel.seq, bytes=len(parcel.payload)))
        # What was due and is not pending any more (rejected, or dropped) is due no more.
        due = [trip.due_at - now for trip in self._trips.values() if trip.due_at > now]
        return min([*due, self._patience.idle_s])

    def _receive(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        try:
            _, message = decode_message(topic, payload)
        except ContractError as error:
            _log.warning("message_refused", extra=fields(topic=topic, error=error))
            return
        if (message.site, message.device) != (self._site, self._device):
            # A broker may deliver what nobody subscribed to; seen with amqtt 0.12.1.
            _log.warning("message_of_another_device", extra=fields(topic=topic))
            return
        if isinstance(message, Ack):
            self._acknowledge(message, is_retained=is_retained)
        elif isinstance(message, Desired):
            self._on_desired(message)
        elif isinstance(message, Request) and is_retained:
            # Kept by the broker for whoever connects: nobody waits for its answer any more.
            _log.warning("request_of_the_past", extra=fields(id=message.id))
        elif isinstance(message, Request):
            self._on_request(message)

    def _acknowledge(self, message: Ack, *, is_retained: bool) -> None:
        try:
            mine = message.epochs.get(self._outbox.epoch)
            if mine is None:
                # A retained one may be older than what was sent.
                is_about_others = bool(message.epochs) and not is_retained
                if is_about_others and self._ignored.passed_over(now=time.monotonic()):
                    self._outbox.give_up(now=time.time())
                return
            self._ignored.reset()
            self._outbox.acknowledge(mine)
            left = self._outbox.unacknowledged()
        except JournalError as error:
            # Nothing is lost: the fleet's word is retained, and results are sent again.
            _log.error("acknowledgement_not_kept", extra=fields(error=error))
            return
        _log.info("acknowledged", extra=fields(through=mine.through, unacknowledged=left))
        # The fleet is there: what it did not get need not wait for long.
        soon = time.monotonic() + self._patience.resend_first_s
        self._trips = {
            seq: _Trip(due_at=min(trip.due_at, soon), wait_s=self._patience.resend_first_s)
            for seq, trip in self._trips.items()
            if seq > mine.through
        }
        self._on_ack()

    def _part(self, link: Link) -> None:
        farewell = encode_message(self._state(Presence.OFFLINE))
        mid = link.publish(self._topic(Leaf.STATE), farewell, retain=True)
        deadline = time.monotonic() + _FAREWELL_SECONDS
        delivered: set[int] = set()
        while mid not in delivered and time.monotonic() < deadline:
            link.step()
            delivered |= link.take_delivered()
        link.close()
        _log.info("broker_left", extra=fields(broker=self._address))

    def _state(self, presence: Presence) -> State:
        return State(
            site=self._site,
            device=self._device,
            presence=presence,
            boot_id=self._boot_id,
            connection=self._connection_number,
            at=time.time(),
        )

    def _topic(self, leaf: Leaf) -> str:
        return topic_for(self._site, self._device, leaf)
