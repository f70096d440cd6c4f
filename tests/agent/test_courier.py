"""The courier between a real outbox and a real broker."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.courier import Courier, Patience
from agent.ignored_outbox import IgnoredAfter
from agent.journal import Journal
from agent.outbox import Outbox
from agent.questions import dismissal
from contract.address import parse_broker_url
from contract.messages import Desired, encode_message
from contract.question import AnswerStatus
from contract.topics import Leaf, topic_for
from support.asking import make_request
from support.brokers import Mosquitto
from support.fleet_end import FleetEnd
from support.measurements import make_run

IMPATIENT = Patience(
    reconnect_first_s=0.05, reconnect_most_s=0.1, resend_first_s=0.3, resend_most_s=0.6
)
#: Gives an outbox up at once that acknowledgements pass over.
NEVER_NAMED = Patience(
    resend_first_s=0.05,
    resend_most_s=0.05,
    ignored_after=IgnoredAfter(seconds=0.2, resends=3),
)
#: What it hears in time then, it did not find by looking.
SLEEPY = Patience(
    reconnect_first_s=0.05, reconnect_most_s=0.1, resend_first_s=3600.0, idle_s=3600.0
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal on the disk."""
    opened = Journal(tmp_path / "agent.sqlite", limit_bytes=64_000_000)
    yield opened
    opened.close()


@pytest.fixture
def outbox(journal: Journal) -> Outbox:
    """An outbox with five runs."""
    made = Outbox(journal, site="lab", device="box")
    for number in range(5):
        with journal.transaction() as connection:
            made.append(connection, make_run(run_id=f"run-{number}"))
    return made


@pytest.fixture
def start_courier(mosquitto: Mosquitto, outbox: Outbox) -> Iterator[Callable[..., Courier]]:
    """Start a courier that is stopped in the end."""
    started: list[Courier] = []
    desires: queue.SimpleQueue[Desired] = queue.SimpleQueue()

    def start(patience: Patience = IMPATIENT) -> Courier:
        courier = Courier(
            parse_broker_url(mosquitto.url),
            site="lab",
            device="box",
            boot_id="boot-1",
            outbox=outbox,
            patience=patience,
        )
        courier.start(on_desired=desires.put)
        started.append(courier)
        return courier

    yield start
    for courier in started:
        courier.stop()


def seqs(fleet_end: FleetEnd) -> list[int]:
    """Places in the order heard."""
    return [result.seq for result in fleet_end.results()]


def test_results_come_in_order_and_again_until_acknowledged(
    fleet_end: FleetEnd, start_courier: Callable[[], Courier], outbox: Outbox
) -> None:
    """The broker's own acknowledgement frees nothing."""
    start_courier()
    fleet_end.await_until("they came twice", lambda: seqs(fleet_end).count(5) >= 2)
    assert seqs(fleet_end)[:5] == [1, 2, 3, 4, 5]
    assert outbox.unacknowledged() == 5
    assert len(set(fleet_end.payloads[1:6])) == 5
    fleet_end.acknowledge(outbox.epoch, 5)
    fleet_end.await_until("they are free", lambda: outbox.unacknowledged() == 0)


def test_only_the_rest_is_sent_again_after_a_partial_acknowledgement(
    fleet_end: FleetEnd, start_courier: Callable[[], Courier], outbox: Outbox
) -> None:
    start_courier()
    fleet_end.await_until("all came", lambda: 5 in seqs(fleet_end))
    fleet_end.acknowledge(outbox.epoch, 3)
    fleet_end.await_until("three are free", lambda: outbox.unacknowledged() == 2)
    fleet_end.await_until("the rest comes", lambda: seqs(fleet_end)[-4:] == [4, 5, 4, 5])


def test_an_acknowledgement_that_fell_back_brings_results_again(
    fleet_end: FleetEnd, start_courier: Callable[..., Courier], outbox: Outbox
) -> None:
    """The fleet was restored from a backup."""
    start_courier(SLEEPY)
    fleet_end.await_until("all came", lambda: seqs(fleet_end) == [1, 2, 3, 4, 5])
    fleet_end.acknowledge(outbox.epoch, 5)
    fleet_end.await_until("all are acknowledged", lambda: outbox.unacknowledged() == 0)
    fleet_end.acknowledge(outbox.epoch, 2)
    fleet_end.await_until("they came again", lambda: seqs(fleet_end)[5:] == [3, 4, 5])


def test_what_a_broker_delivers_of_another_device_is_passed_over(
    mosquitto: Mosquitto, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Amqtt 0.12.1 did so: three devices took the desired state of one of them."""
    heard: list[Desired] = []
    courier = Courier(
        parse_broker_url(mosquitto.url),
        site="lab",
        device="box",
        boot_id="boot-1",
        outbox=outbox,
        patience=IMPATIENT,
    )
    courier.start(on_desired=heard.append)
    for device in ("neighbour", "box"):
        desired = Desired(
            site="lab",
            device=device,
            at=1.0,
            generation=1,
            variant="tiny-base",
            sha256="0" * 64,
            threads=1,
            policy="fastest",
        )
        topic = topic_for("lab", device, Leaf.DESIRED)
        # Mosquitto delivers only what was subscribed to, so the message is handed in here.
        payload = encode_message(desired)
        courier._receive(topic, payload, is_retained=True)  # noqa: SLF001 - see above
    courier.stop()
    assert [desired.device for desired in heard] == ["box"]
    assert "message_of_another_device" in caplog.text


def test_another_epochs_acknowledgement_says_nothing(
    fleet_end: FleetEnd, start_courier: Callable[[], Courier], outbox: Outbox
) -> None:
    """It is of an outbox that this device had before."""
    fleet_end.acknowledge("another", 5)
    start_courier()
    fleet_end.await_until("all came", lambda: set(seqs(fleet_end)) == {1, 2, 3, 4, 5})
    assert outbox.unacknowledged() == 5


def test_an_outbox_that_acknowledgements_never_name_is_given_up_once(
    fleet_end: FleetEnd,
    start_courier: Callable[[Patience], Courier],
    outbox: Outbox,
) -> None:
    """What was not acknowledged moves into a new one; a second time waits for a day."""
    before = outbox.epoch
    fleet_end.acknowledge(before, 2)
    start_courier(NEVER_NAMED)
    fleet_end.await_until("results came", lambda: len(seqs(fleet_end)) >= 3)

    def passed_over_until(condition: Callable[[], bool]) -> Callable[[], bool]:
        def is_so() -> bool:
            fleet_end.acknowledge("another", 7)
            return condition()

        return is_so

    fleet_end.await_until("another", passed_over_until(lambda: outbox.epoch != before))
    after = outbox.epoch

    def runs_after() -> list[str]:
        return [one.run.run_id for one in fleet_end.results() if one.epoch == after]

    fleet_end.await_until("they came", passed_over_until(lambda: len(set(runs_after())) == 3))
    assert runs_after()[:3] == ["run-2", "run-3", "run-4"]
    fleet_end.await_until("resent", passed_over_until(lambda: runs_after().count("run-2") > 5))
    assert outbox.epoch == after
    fleet_end.acknowledge(after, 3)
    fleet_end.await_until("they are free", lambda: outbox.unacknowledged() == 0)


def test_an_outbox_that_nobody_answers_is_kept(
    fleet_end: FleetEnd,
    start_courier: Callable[[Patience], Courier],
    outbox: Outbox,
) -> None:
    before = outbox.epoch
    fleet_end.acknowledge("another", 7)
    fleet_end.await_taken()
    start_courier(NEVER_NAMED)
    fleet_end.await_until("they came often", lambda: seqs(fleet_end).count(1) > 8)
    assert outbox.epoch == before


def test_a_broker_that_restarts_gets_everything_again(
    mosquitto: Mosquitto,
    fleet_end: FleetEnd,
    start_courier: Callable[[], Courier],
    outbox: Outbox,
) -> None:
    """The next connection has the next number, and the announcements come again."""
    start_courier()
    fleet_end.await_until("all came", lambda: 5 in seqs(fleet_end))
    mosquitto.stop()
    mosquitto.start()
    fleet_end.await_until(
        "it is back",
        lambda: any(state.connection > 1 for state in fleet_end.states()),
    )
    fleet_end.acknowledge(outbox.epoch, 5)
    fleet_end.await_until("they are free", lambda: outbox.unacknowledged() == 0)


def test_asleep_it_is_woken_by_whoever_has_something(
    fleet_end: FleetEnd, start_courier: Callable[..., Courier], outbox: Outbox, journal: Journal
) -> None:
    """A result, an answer, the fleet and a stop; by itself it would look in an hour."""
    courier = start_courier(SLEEPY)
    fleet_end.await_until("they came", lambda: 5 in seqs(fleet_end))
    with journal.transaction() as connection:
        outbox.append(connection, make_run(run_id="run-6"))
    courier.collect()
    fleet_end.await_until("the sixth came", lambda: 6 in seqs(fleet_end))
    courier.answer(dismissal(make_request(), AnswerStatus.REFUSED, "just so"))
    fleet_end.await_until("the answer came", lambda: len(fleet_end.answers()) == 1)
    fleet_end.acknowledge(outbox.epoch, 6)
    fleet_end.await_until("all are acknowledged", lambda: outbox.unacknowledged() == 0)


def test_an_answer_waits_for_a_connection(
    mosquitto: Mosquitto, fleet_end: FleetEnd, outbox: Outbox
) -> None:
    """Not on the disk, but for a minute in memory."""
    courier = Courier(
        parse_broker_url(mosquitto.url),
        site="lab",
        device="box",
        boot_id="boot-1",
        outbox=outbox,
        patience=IMPATIENT,
    )
    courier.answer(dismissal(make_request(), AnswerStatus.REFUSED, "just so"))
    courier.start(on_desired=lambda _desired: None)
    fleet_end.await_until("the answer came", lambda: len(fleet_end.answers()) == 1)
    courier.stop()
