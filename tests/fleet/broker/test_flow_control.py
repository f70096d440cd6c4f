"""Who waits, for how much, and in which order what waits is sent: without sockets."""

from __future__ import annotations

import asyncio

from fleet.broker.delivery_queue import MOST_MESSAGES, DeliveryQueue, QueuedDelivery
from fleet.broker.flow_control import (
    MOST_WAITING_BYTES,
    MOST_WAITING_MESSAGES,
    FlowControl,
    Publisher,
    WaitingMessage,
)


def waiting(publisher: Publisher, payload: bytes = b"", answer: bytes = b"") -> WaitingMessage:
    """A message that waits for one subscriber."""
    message = WaitingMessage(publisher, payload, answer)
    message.subscribers = 1
    publisher.accept(message)
    return message


def quiet(_answer: bytes) -> None:
    pass


def delivery(text: str, *, waits: WaitingMessage | None = None) -> QueuedDelivery:
    return QueuedDelivery("t", text.encode(), qos=1, waiting=waits)


def test_publishers_take_turns_and_keep_their_own_order() -> None:
    queue = DeliveryQueue()
    for number in range(3):
        queue.put(delivery(f"flood-{number}"), "flood")
    queue.put(delivery("quiet-0"), "quiet")
    queue.put(delivery("quiet-1"), "quiet")
    sent = [queue.take().payload.decode() for _ in range(len(queue))]
    assert sent == ["flood-0", "quiet-0", "flood-1", "quiet-1", "flood-2"]


def test_where_nobody_waits_the_latest_state_of_each_topic_stays() -> None:
    queue = DeliveryQueue()
    queue.put(QueuedDelivery("desired", b"wanted", qos=1), "fleet")
    for number in range(3 * MOST_MESSAGES):
        queue.put(QueuedDelivery("ack", str(number).encode(), qos=1), "fleet")
    assert len(queue) == MOST_MESSAGES
    left = [queue.take() for _ in range(len(queue))]
    assert left[0].payload == b"wanted"
    assert left[-1].payload == str(3 * MOST_MESSAGES - 1).encode()
    assert queue.dropped == 2 * MOST_MESSAGES + 1


def test_messages_that_are_waited_for_are_never_dropped() -> None:
    queue, publisher = DeliveryQueue(), Publisher(FlowControl(), quiet)
    for number in range(2 * MOST_MESSAGES):
        queue.put(delivery(str(number), waits=waiting(publisher)), publisher)
    assert len(queue) == 2 * MOST_MESSAGES


def test_the_same_subscription_again_does_not_queue_its_retained_messages_twice() -> None:
    queue = DeliveryQueue()
    for _ in range(5):
        queue.put_retained(["a", "b"], "#", 1)
    assert [queue.take().topic for _ in range(len(queue))] == ["a", "b"]


def test_a_publisher_waits_from_so_many_messages_or_bytes_on() -> None:
    flow = FlowControl()
    many, large = Publisher(flow, quiet), Publisher(flow, quiet)
    first = [waiting(many) for _ in range(MOST_WAITING_MESSAGES)]
    waiting(large, b"x" * MOST_WAITING_BYTES)
    assert many.must_wait
    assert large.must_wait
    first[0].sent()
    assert not many.must_wait


def test_where_all_together_have_too_much_only_who_has_nothing_waiting_is_read() -> None:
    flow = FlowControl(most_bytes=10_000)
    some, none = Publisher(flow, quiet), Publisher(flow, quiet)
    messages = [waiting(some, b"x" * 1000) for _ in range(7)]
    assert some.must_wait
    assert not none.must_wait
    for message in messages[:-1]:
        message.sent()
    assert not some.must_wait


def test_whoever_waits_goes_on_as_soon_as_there_is_room() -> None:
    async def waits_for_room() -> bool:
        flow = FlowControl(most_bytes=1_000)
        publisher = Publisher(flow, quiet)
        message = waiting(publisher, b"x" * 1000)
        task = asyncio.create_task(flow.wait_for_room(publisher))
        await asyncio.sleep(0)
        held = flow.held_publishers
        message.sent()
        await task
        return held == 1 and flow.held_publishers == 0

    assert asyncio.run(waits_for_room())


def test_answers_go_out_in_the_order_of_the_messages() -> None:
    answers: list[bytes] = []
    publisher = Publisher(FlowControl(), answers.append)
    first, second = waiting(publisher, answer=b"1"), waiting(publisher, answer=b"2")
    second.sent()
    assert b"".join(answers) == b""
    first.sent()
    assert b"".join(answers) == b"12"


def test_what_is_given_up_at_the_end_of_a_connection_is_answered() -> None:
    answers: list[bytes] = []
    flow = FlowControl()
    publisher = Publisher(flow, answers.append)
    queue = DeliveryQueue()
    for number in range(3):
        message = waiting(publisher, answer=str(number).encode())
        queue.put(delivery("x", waits=message), publisher)
    queue.clear()
    assert b"".join(answers) == b"012"
    assert (flow.waiting_messages, flow.waiting_bytes) == (0, 0)
