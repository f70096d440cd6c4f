"""Questions answered by real worker processes, whatever becomes of these."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from agent.bundles import open_shelf
from agent.errors import StoppedError
from agent.questions import Question
from agent.respondent import Respondent
from agent.supervisor import Limits, Supervisor
from contract.manifest import Scheme
from contract.question import Answer, AnswerStatus, Request
from support.asking import bomb, make_request
from support.processes import wait_until
from support.serving import workers
from support.tiny_bundles import Endless, SetMaker


@dataclass
class Asked:
    """A respondent and what it said."""

    folder: Path
    answers: list[Answer] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def respond(self, request: Request, *, active: str | None = None) -> None:
        respondent = Respondent(
            Limits(timeout_s=120.0),
            supervise=lambda limits: Supervisor(limits, stop=self.stop),
            send=self.answers.append,
        )
        question = Question(request=request, deadline_at=time.monotonic() + request.deadline_s)
        respondent.respond(question, open_shelf(self.folder), active=active)

    def statuses(self) -> list[AnswerStatus]:
        return [answer.status for answer in self.answers]


@pytest.fixture(scope="module")
def folder(set_maker: Callable[[], SetMaker]) -> Path:
    maker = set_maker()
    maker.add("tiny-base")
    maker.add("tiny-endless", Endless(), script=True, logits=None)
    damaged = maker.add("tiny-damaged")
    maker.add("tiny-wrong", wrong_golden=True, scheme=Scheme.STATIC_INT8)
    made = maker.finish()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    return made


@pytest.fixture
def asked(folder: Path) -> Asked:
    return Asked(folder)


@pytest.fixture
def act_on_worker() -> Iterator[Callable[[Callable[[psutil.Process], object]], None]]:
    """Do something as soon as a worker runs."""
    threads: list[threading.Thread] = []

    def start(act: Callable[[psutil.Process], object]) -> None:
        def watch() -> None:
            wait_until("a worker runs", lambda: bool(workers()))
            act(workers()[0])

        threads.append(threading.Thread(target=watch))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join()


def test_each_variant_answers_or_says_why_not(asked: Asked) -> None:
    asked.respond(make_request("tiny-base", "tiny-none", "tiny-damaged", "tiny-wrong", threads=1))
    assert asked.statuses() == [
        AnswerStatus.ANSWERED,
        AnswerStatus.REFUSED,
        AnswerStatus.FAILED,
        AnswerStatus.FAILED,
    ]
    base, unknown, damaged, wrong = asked.answers
    assert [one.number for one in asked.answers] == [1, 2, 3, 4]
    assert [one.is_last for one in asked.answers] == [False, False, False, True]
    assert len(base.top) == 2
    assert base.top[0].label in {"ant", "bee", "cat", "dog"}
    assert base.top[0].probability >= base.top[1].probability > 0
    for part in ("load_ms", "decode_ms", "preprocess_ms", "inference_ms", "postprocess_ms"):
        assert getattr(base, part) > 0
    assert "not in the bundle set" in (unknown.reason or "")
    assert (damaged.reason or "").startswith("damaged: ")
    assert (wrong.reason or "").startswith("wrong-numerics: ")


def test_the_active_variant_answers_where_none_is_named_else_the_baseline(asked: Asked) -> None:
    asked.respond(make_request(), active="tiny-damaged")
    asked.respond(make_request())
    assert [(one.variant, one.status) for one in asked.answers] == [
        ("tiny-damaged", AnswerStatus.FAILED),
        ("tiny-base", AnswerStatus.ANSWERED),
    ]


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (b"GIF89a but no more", "image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image"),
        (bomb(), "400"),
    ],
    ids=["damaged", "postscript", "bomb"],
)
def test_an_image_at_fault_is_refused_before_anything_is_loaded(
    asked: Asked, image: bytes, complaint: str
) -> None:
    asked.respond(make_request("tiny-base", "tiny-wrong", image=image))
    assert asked.statuses() == [AnswerStatus.REFUSED, AnswerStatus.REFUSED]
    answer, same = asked.answers
    assert complaint in (answer.reason or "")
    assert same.reason == answer.reason
    assert answer.load_ms is None


def test_at_the_deadline_the_rest_is_late(asked: Asked) -> None:
    asked.respond(make_request("tiny-endless", "tiny-base", deadline_s=4.0))
    assert asked.statuses() == [AnswerStatus.LATE, AnswerStatus.LATE]
    assert "deadline of 4 s passed" in (asked.answers[0].reason or "")
    assert "before its turn" in (asked.answers[1].reason or "")
    assert workers() == []


def test_a_killed_worker_costs_no_answer(
    asked: Asked, act_on_worker: Callable[[Callable[[psutil.Process], object]], None]
) -> None:
    """The next preparation, in a new process, may be the cure; else the answer is `failed`."""
    act_on_worker(lambda worker: worker.kill())
    asked.respond(make_request("tiny-base"))
    assert asked.statuses() == [AnswerStatus.ANSWERED]


def test_told_to_stop_it_refuses_the_rest_and_leaves_no_worker(
    asked: Asked, act_on_worker: Callable[[Callable[[psutil.Process], object]], None]
) -> None:
    act_on_worker(lambda _worker: asked.stop.set())
    with pytest.raises(StoppedError):
        asked.respond(make_request("tiny-base", "tiny-wrong"))
    assert asked.statuses() == [AnswerStatus.REFUSED, AnswerStatus.REFUSED]
    assert all("stopped" in (answer.reason or "") for answer in asked.answers)
    assert workers() == []
