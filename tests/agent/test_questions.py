"""Which questions wait, and which are refused at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.questions import Questions
from contract.question import Answer, AnswerStatus
from support.asking import make_request


@dataclass
class Desk:
    """A queue of questions, a clock that a test turns, and what was said."""

    now: float = 1000.0
    answers: list[Answer] = field(default_factory=list)
    rings: int = 0

    def __post_init__(self) -> None:
        self.questions = Questions(
            send=self.answers.append, on_question=self.ring, clock=lambda: self.now
        )

    def ring(self) -> None:
        self.rings += 1

    def said(self) -> list[tuple[str, AnswerStatus]]:
        return [(answer.id, answer.status) for answer in self.answers]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_questions_are_taken_in_order_with_deadlines_from_their_receipt(desk: Desk) -> None:
    first, second = make_request(deadline_s=10), make_request(deadline_s=60)
    desk.questions.hear(first)
    desk.now += 5
    desk.questions.hear(second)
    one, two = desk.questions.take(), desk.questions.take()
    assert one is not None
    assert two is not None
    assert (one.request, one.deadline_at) == (first, 1010.0)
    assert (two.request, two.deadline_at) == (second, 1065.0)
    assert desk.questions.take() is None
    assert desk.rings == 2


def test_a_request_that_comes_twice_is_answered_once(desk: Desk) -> None:
    request = make_request()
    for _ in range(2):
        desk.questions.hear(request)
    assert desk.questions.take() is not None
    desk.questions.hear(request)
    assert desk.questions.take() is None
    assert desk.answers == []


def test_the_fifth_that_waits_is_refused_at_once(desk: Desk) -> None:
    requests = [make_request() for _ in range(5)]
    for request in requests:
        desk.questions.hear(request)
    assert desk.said() == [(requests[4].id, AnswerStatus.REFUSED)]
    (answer,) = desk.answers
    assert "4 questions wait" in (answer.reason or "")
    assert (answer.variant, answer.number, answer.of, answer.is_last) == (None, 1, 1, True)


def test_a_measurement_that_ends_after_the_deadline_refuses_at_once(desk: Desk) -> None:
    with desk.questions.occupied("measuring", about_s=40):
        desk.now += 10
        hasty, patient = make_request(deadline_s=25), make_request(deadline_s=35)
        desk.questions.hear(hasty)
        desk.questions.hear(patient)
    assert desk.said() == [(hasty.id, AnswerStatus.REFUSED)]
    assert (desk.answers[0].reason or "").startswith("measuring: about 30 s more")
    taken = desk.questions.take()
    assert taken is not None
    assert taken.request == patient


def test_a_question_whose_time_goes_by_while_it_waits_is_told_so(desk: Desk) -> None:
    """A run may take longer than the one before."""
    with desk.questions.occupied("measuring", about_s=5):
        short, long = make_request(deadline_s=20), make_request(deadline_s=60)
        desk.questions.hear(short)
        desk.questions.hear(long)
        desk.now += 20
        desk.questions.expire()
        assert desk.said() == [(short.id, AnswerStatus.LATE)]
        assert "measuring until its deadline of 20 s" in (desk.answers[0].reason or "")
    taken = desk.questions.take()
    assert taken is not None
    assert taken.request == long


def test_after_many_other_questions_an_id_is_forgotten(desk: Desk) -> None:
    """What is remembered is bounded."""
    first = make_request()
    for request in [first, *(make_request() for _ in range(300)), first]:
        desk.questions.hear(request)
        assert desk.questions.take() is not None
