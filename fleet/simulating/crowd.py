"""All devices of a simulation and their connections, driven by one loop."""

from __future__ import annotations

import random
import selectors
from collections.abc import Callable, Sequence

from contract.access import Access, client_id_of, client_name_of
from contract.address import BrokerAddress
from contract.messages import Ack, Desired, Message
from contract.topics import Leaf
from fleet.errors import BrokerAwayError
from fleet.simulating.agenda import Agenda
from fleet.simulating.box import Parcel, SimulatedDevice
from fleet.simulating.carrier import Carrier
from fleet.simulating.plan import Mode, Plan
from fleet.simulating.tally import Tally

#: As agents wait: between a quarter of a bound and the bound, which doubles up to the last.
_RECONNECT_FIRST_S, _RECONNECT_MOST_S = 0.5, 30.0
#: Connections are made one after the other; between two, what came is read.
_OPENED_AT_ONCE = 20
_PING_EVERY_S = 5.0


class Crowd:
    """Connects, sends, hears and sends again.

    Args:
        devices: all of them, in order.
        plan: how they are connected, and how patient they are.
        address: where the broker is.
        access_of: how a device gets in; asked once for each connection.
        run: names this simulation among others.
        tally: counts.
        draw: chance.
        clock: seconds since the epoch.
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        devices: Sequence[SimulatedDevice],
        plan: Plan,
        address: BrokerAddress,
        access_of: Callable[[SimulatedDevice], Access],
        *,
        run: str,
        tally: Tally,
        draw: random.Random,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.agenda = Agenda()
        self._plan, self._tally, self._draw = plan, tally, draw
        self._clock, self._monotonic = clock, monotonic
        self._selector = selectors.DefaultSelector()
        self._pinged_s = monotonic()
        count = min(plan.connections, plan.devices)
        self.carriers: list[Carrier] = []
        self._carrier_of: dict[str, Carrier] = {}
        for number in range(count):
            mine = devices[number::count]
            access = access_of(mine[0])
            carrier = Carrier(
                address,
                access,
                _client_id(plan, mine[0], access, f"{run}-{number}"),
                mine,
                selector=self._selector,
                hear=self._hear,
                on_sent=self._sent,
            )
            self.carriers.append(carrier)
            self._carrier_of |= {one.name: carrier for one in mine}

    def step(self, wait_s: float) -> None:
        """Do what is due, send what there is, and take what comes within `wait_s`."""
        now_s = self._monotonic()
        self.agenda.do_due(now_s)
        self._open_due(now_s)
        now = self._clock()
        is_busy = False
        for carrier in self.carriers:
            self._guarded(carrier, lambda one: one.write(now, now_s))
            is_busy |= carrier.is_busy
        if now_s - self._pinged_s > _PING_EVERY_S:
            self._pinged_s = now_s
            for carrier in self.carriers:
                self._guarded(carrier, Carrier.keep_alive)
        for key, _ in self._selector.select(0.0 if is_busy else wait_s):
            self._guarded(key.data, lambda one: one.read(now))

    def send(self, device: SimulatedDevice, seq: int) -> None:
        """Send a result as soon as may be."""
        self._carrier_of[device.name].send(device, seq)

    def publish_raw(self, device: SimulatedDevice, payload: bytes) -> bool:
        """Publish bytes as a result of a device; False where it is not connected."""
        if not device.is_aboard:
            return False
        self._carrier_of[device.name].publish(device.result_topic, payload, retain=False)
        return True

    def storm(self) -> None:
        """Break every connection, and make all of them again at once."""
        self._tally.storms += 1
        for carrier in self.carriers:
            if carrier.due_s is None:
                carrier.drop()
                carrier.due_s = self._monotonic()

    def depart(self, device: SimulatedDevice, *, for_s: float, is_abrupt: bool) -> None:
        """A device goes away for a while: with its connection, where that is its own.

        An abrupt one says nothing: its last will speaks for it. The first device of a shared
        connection stays, for the last will is its.
        """
        carrier = self._carrier_of[device.name]
        if not device.is_aboard or (len(carrier.devices) > 1 and carrier.devices[0] is device):
            return
        self._tally.departures += 1
        back_s = self._monotonic() + for_s
        if len(carrier.devices) == 1:
            if is_abrupt:
                carrier.drop()
            else:
                carrier.leave(self._clock())
                carrier.away.clear()
            # A box that was switched off starts again.
            device.boot += 1
            device.connection = 0
            carrier.due_s = back_s
            return
        carrier.let_go(device, self._clock())
        self.agenda.at(back_s, lambda: self._come_back(carrier, device))

    def come_back_now(self) -> None:
        """Whoever is away comes back."""
        for carrier in self.carriers:
            if carrier.due_s is not None:
                carrier.due_s = min(carrier.due_s, self._monotonic() + self._draw.random())
            for device in carrier.devices:
                self._come_back(carrier, device)

    def say_farewell(self, within_s: float) -> None:
        """Everybody goes in order; returns when the broker knows, or after `within_s`."""
        for carrier in self.carriers:
            carrier.leave(self._clock())
            carrier.due_s = None
        until_s = self._monotonic() + within_s
        while self._monotonic() < until_s and not all(one.is_closed for one in self.carriers):
            self.step(0.02)
        self.close()

    def close(self) -> None:
        """End every connection."""
        for carrier in self.carriers:
            carrier.due_s = None
            carrier.hang_up()
        self._selector.close()

    def _come_back(self, carrier: Carrier, device: SimulatedDevice) -> None:
        if device.name in carrier.away:
            carrier.away.discard(device.name)
            device.connection += 1
            carrier.let_aboard([device])

    def _open_due(self, now_s: float) -> None:
        opened = 0
        for carrier in self.carriers:
            if carrier.due_s is None or carrier.due_s > now_s:
                continue
            self._guarded(carrier, lambda one: one.open(self._clock(), now_s))
            if carrier.due_s is not None:
                # The others would not get in either, and a try may take seconds.
                return
            self._tally.connected += 1
            opened += 1
            if opened == _OPENED_AT_ONCE:
                return

    def _guarded(self, carrier: Carrier, action: Callable[[Carrier], None]) -> None:
        """Do something with a connection; where it is lost, another follows later."""
        try:
            action(carrier)
        except BrokerAwayError as error:
            self._tally.broken += 1
            self._tally.problem = str(error)
            carrier.drop()
            carrier.failures += 1
            bound = min(_RECONNECT_FIRST_S * 2 ** min(carrier.failures - 1, 16), _RECONNECT_MOST_S)
            carrier.due_s = self._monotonic() + self._draw.uniform(bound / 4, bound)

    def _hear(self, device: SimulatedDevice, message: Message) -> None:
        if isinstance(message, Ack):
            mine = message.epochs.get(device.epoch)
            if mine is not None:
                now_s = self._monotonic()
                for parcel in device.acknowledge(mine):
                    self._tally.acknowledge(parcel, now_s)
        elif isinstance(message, Desired):
            carrier = self._carrier_of[device.name]
            carrier.publish(device.topic(Leaf.UPDATE), device.take_up(message), retain=True)

    def _sent(self, device: SimulatedDevice, seq: int, parcel: Parcel) -> None:
        now_s = self._monotonic()
        if parcel.sent_s is None:
            parcel.sent_s = now_s
            self._tally.published += 1
        else:
            self._tally.resent += 1
        first_s, most_s = self._plan.resend_first_s, self._plan.resend_most_s
        parcel.wait_s = min(parcel.wait_s * 2, most_s) or first_s
        due_s = parcel.due_s = now_s + parcel.wait_s

        def send_again() -> None:
            # Sent again already, when its device came back.
            if parcel.due_s == due_s and device.parcels.get(seq) is parcel:
                self.send(device, seq)

        self.agenda.at(due_s, send_again)


def _client_id(plan: Plan, first: SimulatedDevice, access: Access, name: str) -> str:
    if plan.mode is Mode.SHARED:
        return client_id_of(f"edgewright-simulate-{name}", access.password())
    return client_id_of(client_name_of(first.site, first.name), access.password())
