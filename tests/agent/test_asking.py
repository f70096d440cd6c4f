"""Questions to a real agent over a real broker."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from contract.bundleset import read_set
from contract.messages import Phase, encode_message
from contract.question import Answer, AnswerStatus, Request
from contract.topics import Leaf
from support.asking import bomb, make_request
from support.brokers import Mosquitto
from support.fleet_end import FleetEnd
from support.processes import Process, program, wait_until
from support.serving import workers

MakeAgent = Callable[..., Process]


@pytest.fixture(scope="module")
def broker(mosquitto_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    made = Mosquitto(mosquitto_program, tmp_path_factory.mktemp("mosquitto"))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def asker(broker: Mosquitto) -> Iterator[FleetEnd]:
    end = FleetEnd(broker.url, site="lab", device="box")
    end.is_obliging = True
    yield end
    end.close()


@pytest.fixture(scope="module")
def idle_agent(
    broker: Mosquitto, asker: FleetEnd, good_set: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Process]:
    """An agent that has measured everything."""
    folder = tmp_path_factory.mktemp("agent")
    (folder / "agent.toml").write_text(
        f'site = "lab"\ndevice = "box"\nbroker = "{broker.url}"\nbundles = "{good_set}"\n'
        'state_dir = "state"\nmin_seconds = 0.1\n'
    )
    words = [program("edgewright-agent"), "run", "--config", str(folder / "agent.toml")]
    agent = Process(words, folder / "agent.log")
    agent.start()
    asker.await_until("it measured all", lambda: len(asker.results()) == 3)
    yield agent
    assert agent.stop() == 0, agent.log.read_text()


def answers_to(asker: FleetEnd, request: Request) -> list[Answer]:
    """Every answer to a request, once the last has come."""

    def found() -> list[Answer]:
        return [answer for answer in asker.answers() if answer.id == request.id]

    asker.await_until("the last answer came", lambda: any(one.is_last for one in found()))
    return found()


@pytest.mark.usefixtures("idle_agent")
def test_one_answer_a_variant_comes_as_it_is_ready(asker: FleetEnd) -> None:
    request = make_request("tiny-sq8", "tiny-none", "tiny-base")
    asker.ask(request)
    answers = answers_to(asker, request)
    assert [(one.number, one.of, one.variant, one.status) for one in answers] == [
        (1, 3, "tiny-sq8", AnswerStatus.ANSWERED),
        (2, 3, "tiny-none", AnswerStatus.REFUSED),
        (3, 3, "tiny-base", AnswerStatus.ANSWERED),
    ]
    assert answers[0].top[0].label == answers[2].top[0].label


@pytest.mark.usefixtures("idle_agent")
def test_without_a_variant_the_active_one_answers_and_the_same_id_once(
    asker: FleetEnd, good_set: Path
) -> None:
    shas = {member.variant: member.sha256 for member in read_set(good_set).members}
    asker.desire("tiny-dq8", shas["tiny-dq8"], 3)
    asker.await_until("it adopted", lambda: asker.updates()[-1].phase is Phase.ACTIVE)
    request = make_request()
    for _ in range(2):
        asker.ask(request)
    (answer,) = answers_to(asker, request)
    assert answer.variant == "tiny-dq8"
    other = make_request("tiny-none")
    asker.ask(other)
    answers_to(asker, other)
    assert answers_to(asker, request) == [answer]


def test_bad_requests_harm_nobody(asker: FleetEnd, idle_agent: Process) -> None:
    """A bomb is refused, what is no request is passed over, and a kept one is of the past."""
    request = make_request("tiny-base", image=bomb())
    asker.ask(request)
    (answer,) = answers_to(asker, request)
    assert answer.status is AnswerStatus.REFUSED
    heard = len(asker.answers())
    asker.publish(Leaf.REQUEST, b'{"id": "x", "image": "////"}')
    wait_until("it said so", lambda: idle_agent.says("event=message_refused"))
    assert len(asker.answers()) == heard
    asker.publish(Leaf.REQUEST, b"")


def test_killed_while_it_answers_it_starts_again_and_answers_the_next(
    asker: FleetEnd, idle_agent: Process
) -> None:
    """The worker goes with it, and the question is forgotten: who asked has a deadline."""
    lost = make_request("tiny-base", "tiny-sq8")
    asker.ask(lost)
    assert idle_agent.popen is not None
    process = psutil.Process(idle_agent.popen.pid)
    wait_until("a worker answers", lambda: bool(workers(process)))
    (worker,) = workers(process)
    idle_agent.kill()
    wait_until("the worker is gone", lambda: not worker.is_running())
    known = {state.boot_id for state in asker.states()}
    idle_agent.start()
    asker.await_until("it is back", lambda: {s.boot_id for s in asker.states()} > known)
    request = make_request("tiny-base")
    asker.ask(request)
    (answer,) = answers_to(asker, request)
    assert answer.status is AnswerStatus.ANSWERED, answer.reason
    assert not any(one.id == lost.id and one.is_last for one in asker.answers())


def test_while_it_measures_a_question_waits_or_is_refused_and_a_stop_says_so(
    mosquitto: Mosquitto, fleet_end: FleetEnd, make_agent: MakeAgent, good_set: Path
) -> None:
    fleet_end.publish(Leaf.REQUEST, encode_message(make_request("tiny-base")))
    agent = make_agent(mosquitto.url, good_set)
    agent.start()
    wait_until("it measures", lambda: agent.says("event=sweep_begins"))
    hasty, patient = make_request("tiny-base", deadline_s=0.5), make_request("tiny-base")
    fleet_end.ask(hasty)
    fleet_end.ask(patient)
    (refused,) = answers_to(fleet_end, hasty)
    assert (refused.status, refused.variant) == (AnswerStatus.REFUSED, None)
    assert (refused.reason or "").startswith("measuring")
    (answered,) = answers_to(fleet_end, patient)
    assert answered.status is AnswerStatus.ANSWERED, answered.reason
    assert agent.says("event=request_of_the_past")

    last = make_request("tiny-base", "tiny-sq8")
    fleet_end.ask(last)
    wait_until("it heard", lambda: agent.says(f"event=question_waits id={last.id}"))
    assert agent.popen is not None
    agent.popen.send_signal(signal.SIGTERM)
    assert agent.wait() == 0, agent.log.read_text()
    told = answers_to(fleet_end, last)
    assert told[-1].status is AnswerStatus.REFUSED
    assert "the agent was stopped" in (told[-1].reason or "")
