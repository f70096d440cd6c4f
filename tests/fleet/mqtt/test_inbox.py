"""The queue between the broker and the store: in order, and bounded in bytes."""

from __future__ import annotations

import threading
import time

from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.inbox import FEWEST_ITEMS, LONGEST_S, Inbox

LARGE = bytes(1024 * 1024)


def delivery(number: int, payload: bytes = b"") -> Delivery:
    return Delivery(topic=f"t/{number}", payload=payload, retained=False, received_at=1.0)


def test_what_was_put_is_taken_in_order_and_at_most_as_many_as_asked_for() -> None:
    inbox = Inbox()
    items = [delivery(1), Subscribed(), delivery(2)]
    assert all(inbox.put(item, wait_s=0.0) for item in items)
    assert inbox.take(at_most=2, wait_s=0.0) == items[:2]
    assert inbox.take(at_most=2, wait_s=0.0) == items[2:]
    assert inbox.take(at_most=2, wait_s=0.0) == []


def test_it_is_full_after_so_many_bytes_and_has_room_again_when_they_are_taken() -> None:
    inbox = Inbox()
    put = 0
    while inbox.put(delivery(put, LARGE), wait_s=0.0):
        put += 1
        assert put < 100
    assert put > 1
    assert len(inbox.take(at_most=1, wait_s=0.0)) == 1
    assert inbox.put(delivery(put, LARGE), wait_s=0.0)


def test_it_is_full_once_the_first_of_a_batch_has_waited_for_long() -> None:
    inbox = Inbox()
    for number in range(FEWEST_ITEMS - 1):
        assert inbox.put(delivery(number), wait_s=0.0)
    time.sleep(1.1 * LONGEST_S)
    assert inbox.put(delivery(FEWEST_ITEMS), wait_s=0.0), "fewer than a batch"
    assert not inbox.put(delivery(FEWEST_ITEMS + 1), wait_s=0.0)
    assert len(inbox.take(at_most=1, wait_s=0.0)) == 1
    assert inbox.put(delivery(FEWEST_ITEMS + 1), wait_s=0.0)


def test_who_waits_for_the_first_gets_it_and_who_waits_for_room_gets_that() -> None:
    inbox = Inbox()
    sent = [delivery(number, LARGE) for number in range(60)]

    def put_all() -> None:
        for item in sent:
            assert inbox.put(item, wait_s=30.0)

    putter = threading.Thread(target=put_all)
    putter.start()
    taken: list[Delivery | Subscribed] = []
    while len(taken) < len(sent):
        taken += inbox.take(at_most=7, wait_s=30.0)
    putter.join()
    assert taken == sent
