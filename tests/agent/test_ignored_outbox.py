"""When an outbox that the fleet never names is given up, and when it is not."""

from __future__ import annotations

from agent.ignored_outbox import IgnoredAfter, IgnoredOutbox

HOUR_S = 3600.0


def resent(outbox: IgnoredOutbox, times: int) -> None:
    """The broker takes one message so often again."""
    for number in range(times):
        outbox.sent(1000 + number, is_resend=True)
        outbox.confirmed({1000 + number})


def ignored() -> IgnoredOutbox:
    """An outbox of which the broker has a message, and which one acknowledgement passed over."""
    outbox = IgnoredOutbox(IgnoredAfter(seconds=HOUR_S, resends=10))
    outbox.sent(1, is_resend=False)
    outbox.confirmed({1})
    assert not outbox.passed_over(now=0.0)
    return outbox


def test_it_is_given_up_after_an_hour_and_ten_confirmed_resends() -> None:
    outbox = ignored()
    resent(outbox, 10)
    assert not outbox.passed_over(now=HOUR_S - 1)
    assert outbox.passed_over(now=HOUR_S)


def test_nine_resends_are_too_few_however_long_it_lasts() -> None:
    outbox = ignored()
    resent(outbox, 9)
    assert not outbox.passed_over(now=100 * HOUR_S)


def test_acknowledgements_before_the_broker_confirmed_anything_do_not_count() -> None:
    outbox = IgnoredOutbox(IgnoredAfter(seconds=HOUR_S, resends=10))
    outbox.sent(1, is_resend=False)
    assert not outbox.passed_over(now=0.0)
    outbox.confirmed({1})
    assert not outbox.passed_over(now=HOUR_S)
    resent(outbox, 10)
    assert not outbox.passed_over(now=HOUR_S + 1)
    assert outbox.passed_over(now=2 * HOUR_S)


def test_resends_that_the_broker_did_not_confirm_do_not_count() -> None:
    outbox = ignored()
    for number in range(20):
        outbox.sent(number, is_resend=True)
    outbox.connected()
    outbox.confirmed(set(range(20)))
    assert not outbox.passed_over(now=HOUR_S)


def test_to_be_named_once_begins_the_hour_anew() -> None:
    outbox = ignored()
    resent(outbox, 10)
    outbox.reset()
    assert not outbox.passed_over(now=2 * HOUR_S)
    resent(outbox, 10)
    assert not outbox.passed_over(now=2 * HOUR_S + 1)
