"""Keeps the device connected, announces it, and carries the outbox to the fleet."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import JournalError, LinkError
from agent.link import Link
from agent.logs import fields
from agent.outbox import Outbox
from contract.access import Access, client_name_of
from contract.address import BrokerAddress
from contract.errors import ContractError
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
    ) -> None:
        self._address = address
        self._access = access or Access()
        self._site = site
        self._device = device
        self._boot_id = boot_id
        self._outbox = outbox
        self._on_desired: Callable[[Desired], None] = lambda _desired: None
        self._patience = patience or Patience()
        self._connection_number = 0
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        #: Latest word per retained leaf, and what of it the broker already has.
        self._words: dict[Leaf, bytes] = {}
        self._said: dict[Leaf, bytes] = {}
        self._trips: dict[int, _Trip] = {}
        self._crowd: set[int] = set()
        self._epoch = ""
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def start(self, *, on_desired: Callable[[Desired], None]) -> None:
        """Begin to connect; `on_desired` hears every desired state, in the courier's thread."""
        self._on_desired = on_desired
        self._thread.start()

    def stop(self) -> None:
        """Say offline, disconnect, and end the thread."""
        self._stopping.set()
        self._thread.join()

    def say(self, message: Inventory | Update) -> None:
        """Publish a retained message now and after every reconnect, until the next one."""
        leaf = Leaf.INVENTORY if isinstance(message, Inventory) else Leaf.UPDATE
        with self._lock:
            self._words[leaf] = encode_message(message)

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connect() as link:
                    failures = 0
                    self._attend(link)
            except LinkError as error:
                failures += 1
                wait_s = self._reconnect_wait_s(failures)
                extra = fields(broker=self._address, error=error, again_in_s=wait_s)
                _log.info("broker_away", extra=extra)
                self._stopping.wait(wait_s)
            except Exception:  # noqa: BLE001 - what nobody foresaw must not silence the device
                _log.exception("courier_failed")
                self._stopping.wait(self._patience.reconnect_most_s)

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
        # The retained acknowledgement comes first, lest stored results are sent again.
        topics = [self._topic(Leaf.DESIRED), self._topic(Leaf.ACK)]
        link.subscribe(topics, should_stop=self._stopping.is_set)
        online = encode_message(self._state(Presence.ONLINE))
        link.publish(self._topic(Leaf.STATE), online, retain=True)
        link.step()
        while not self._stopping.is_set():
            self._speak(link)
            self._deliver(link)
            link.step()
            self._crowd -= link.take_delivered()
        self._part(link)

    def _speak(self, link: Link) -> None:
        with self._lock:
            words = dict(self._words)
        for leaf, payload in words.items():
            if self._said.get(leaf) != payload:
                link.publish(self._topic(leaf), payload, retain=True)
                self._said[leaf] = payload

    def _deliver(self, link: Link) -> None:
        now = time.monotonic()
        waiting = [seq for seq, trip in self._trips.items() if trip.due_at > now]
        room = _WINDOW - len(self._crowd)
        if room <= 0:
            return
        try:
            epoch = self._outbox.epoch
            if epoch != self._epoch:
                self._epoch = epoch
                self._trips.clear()
                waiting = []
            parcels = self._outbox.pending(room, besides=waiting)
        except JournalError as error:
            _log.error("outbox_unreadable", extra=fields(error=error))
            return
        for parcel in parcels:
            mid = link.publish(self._topic(Leaf.RESULT), parcel.payload, retain=False)
            self._crowd.add(mid)
            last = self._trips.get(parcel.seq)
            wait_s = min(last.wait_s * 2, self._patience.resend_most_s) if last else 0.0
            wait_s = wait_s or self._patience.resend_first_s
            self._trips[parcel.seq] = _Trip(due_at=now + wait_s, wait_s=wait_s)
            _log.debug("result_sent", extra=fields(seq=parcel.seq, bytes=len(parcel.payload)))

    def _receive(self, topic: str, payload: bytes) -> None:
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
            self._acknowledge(message)
        elif isinstance(message, Desired):
            self._on_desired(message)

    def _acknowledge(self, message: Ack) -> None:
        try:
            mine = message.epochs.get(self._outbox.epoch)
            if mine is None:
                return
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
