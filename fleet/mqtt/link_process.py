"""A process that has the connection to the broker: `python -m fleet.mqtt.link_process`.

paho takes 0.1 ms of processor time for a message. In a process of its own it shares no
interpreter lock with what decodes and stores, and a collector uses two cores.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from contract.access import Access
from contract.address import BrokerAddress
from edgewright.tracebacks import show_uncaught_safely
from fleet.errors import FleetError
from fleet.garbage import expect_many_objects
from fleet.logs import set_up_logging
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import (
    Arrived,
    Frames,
    Order,
    Say,
    SessionKept,
    Settled,
    Trouble,
    frame,
    write_all,
)
from fleet.mqtt.inbox import Inbox
from fleet.mqtt.link import Link, Session

_log = logging.getLogger("fleet.mqtt.link")

_AT_MOST = 200
_WAIT_S = 0.2
#: Between frames: what comes meanwhile goes together, and paho has the interpreter for itself.
_PAUSE_S = 0.002
_FAILED = 1


class Carried(Protocol):
    """What a link process carries to the collector and back."""

    @property
    def problem(self) -> str | None:
        """Why there is no connection, where the last try failed."""

    @property
    def kept_client_id(self) -> str | None:
        """The client id under which the broker keeps our session; None where it keeps none."""

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting; waits `wait_s` for the first."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a retained message to the broker."""

    def settle(self, tickets: Sequence[int]) -> None:
        """Deliveries are stored: whoever waits to hear that may forget them."""

    def close(self) -> None:
        """Disconnect; what was received before stays in `receive`."""


def main() -> None:
    """Carry a broker's messages: the program of a plain link."""
    carry(plain_link)


def carry(make_link: Callable[[Order], Carried]) -> None:
    """Do what the first frame on standard input orders, until standard input ends."""
    # They reach everybody in a terminal or a service; the collector decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Nothing but frames may go where frames go.
    out = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    show_uncaught_safely()
    frames = Frames(sys.stdin.fileno())
    body = frames.read(wait_s=None)
    if body is None:
        return
    order = msgspec.msgpack.decode(body, type=Order)
    set_up_logging(order.log_format, level=order.log_level)
    try:
        link = make_link(order)
    except FleetError as error:
        write_all(out, frame(Trouble(str(error))))
        raise SystemExit(_FAILED) from error
    ending = threading.Event()
    threading.Thread(target=_obey, args=(frames, link, ending), daemon=True).start()
    expect_many_objects()
    link.open()
    try:
        _forward(link, out, ending, order.alive_every_s)
        link.close()
        _forward_rest(link, out)
    except BrokenPipeError:
        # Nobody is there to store it; what was not acknowledged comes again.
        _log.info("the collector is gone")
    os._exit(0)


def plain_link(order: Order, inbox: Inbox | None = None) -> Link:
    """The connection to the broker that an order asks for."""
    return Link(
        BrokerAddress(order.host, order.port, tls=order.tls),
        access=access_in(order),
        client_name=order.client_name,
        session=Session(order.session),
        topics=order.topics,
        former_ids=order.former_ids,
        inbox=inbox,
    )


def access_in(order: Order) -> Access:
    """What proves the order's account."""
    return Access(
        ca_file=Path(order.ca_file) if order.ca_file else None,
        username=order.username,
        password_file=Path(order.password_file) if order.password_file else None,
    )


def _obey(frames: Frames, link: Carried, ending: threading.Event) -> None:
    """Pass on what the collector says, until it says no more."""
    decoder = msgspec.msgpack.Decoder(Say | Settled)
    while (body := frames.read(wait_s=None)) is not None:
        said = decoder.decode(body)
        if isinstance(said, Settled):
            link.settle(said.tickets)
            continue
        for topic, payload in said.messages:
            link.publish(topic, payload)
    ending.set()


def _forward(link: Carried, out: int, ending: threading.Event, alive_every_s: float) -> None:
    told: str | None = None
    kept: str | None = None
    said_at = time.monotonic()
    while not ending.is_set():
        waiting = link.receive(at_most=_AT_MOST, wait_s=_WAIT_S)
        if link.problem != told:
            told = link.problem
            write_all(out, frame(Trouble(told)))
        if link.kept_client_id not in {None, kept}:
            kept = link.kept_client_id
            write_all(out, frame(SessionKept(kept)))
        if waiting or time.monotonic() - said_at > alive_every_s:
            write_all(out, frame(_arrived(waiting)))
            said_at = time.monotonic()
        if len(waiting) < _AT_MOST:
            ending.wait(_PAUSE_S)


def _forward_rest(link: Carried, out: int) -> None:
    while waiting := link.receive(at_most=_AT_MOST, wait_s=0.0):
        write_all(out, frame(_arrived(waiting)))


def _arrived(waiting: list[Delivery | Subscribed]) -> Arrived:
    return Arrived(
        [
            (one.topic, one.payload, one.retained, one.received_at, one.ticket)
            if isinstance(one, Delivery)
            else None
            for one in waiting
        ]
    )


if __name__ == "__main__":
    main()
