"""Letters: sent once, again where the connection was lost, and not for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.errors import LinkError
from agent.letters import Letter, Letters


@dataclass
class Post:
    """Letters, a clock that a test turns, and what was sent."""

    now: float = 0.0
    sent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.letters = Letters(clock=lambda: self.now)

    def write(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.letters.post("topic", payload)

    def send(self, letter: Letter) -> int:
        self.sent.append(letter.payload)
        return len(self.sent)


@pytest.fixture
def post() -> Post:
    return Post()


def test_letters_are_sent_once_in_order(post: Post) -> None:
    post.write(b"1", b"2")
    for _ in range(2):
        post.letters.send_all(post.send)
    assert post.sent == [b"1", b"2"]


def test_what_a_lost_connection_did_not_confirm_is_sent_again_first(post: Post) -> None:
    post.write(b"1", b"2", b"3")
    post.letters.send_all(post.send)
    post.letters.delivered({1})
    post.write(b"4")
    post.letters.connection_lost()
    post.letters.send_all(post.send)
    assert post.sent[3:] == [b"2", b"3", b"4"]
    post.letters.delivered({2, 3, 4, 5, 6})
    post.letters.connection_lost()
    post.letters.send_all(post.send)
    assert len(post.sent) == 6


def test_a_letter_that_could_not_be_sent_stays_the_first(post: Post) -> None:
    def fail(_letter: Letter) -> int:
        message = "the line is cut"
        raise LinkError(message)

    post.write(b"1", b"2")
    with pytest.raises(LinkError):
        post.letters.send_all(fail)
    post.letters.send_all(post.send)
    assert post.sent == [b"1", b"2"]


def test_after_a_minute_nobody_waits_for_it_any_more(post: Post) -> None:
    post.write(b"old")
    post.now += 59.0
    post.write(b"new")
    post.now += 1.0
    post.letters.send_all(post.send)
    assert post.sent == [b"new"]


def test_the_oldest_of_too_many_are_dropped(post: Post) -> None:
    post.write(*(str(number).encode() for number in range(300)))
    post.letters.send_all(post.send)
    assert (post.sent[0], post.sent[-1], len(post.sent)) == (b"44", b"299", 256)
