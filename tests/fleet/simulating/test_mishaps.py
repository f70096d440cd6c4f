"""What simulated boxes do wrong: clocks, broken messages, and things in their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.mqtt.delivery import Delivery, Refused, read_delivery
from fleet.simulating.agenda import Agenda
from fleet.simulating.chance import chance
from fleet.simulating.clocks import BoxClock, ClockFault, draw_clock
from fleet.simulating.mishaps import spoil
from support.measurements import make_result

NOW = 1_750_000_000.0


@given(st.integers(0, 2**32))
def test_a_spoiled_message_is_refused_and_closes_no_place_of_its_device(seed: int) -> None:
    payload = encode_message(make_result(3))
    topic = topic_for("lab", "box", Leaf.RESULT)
    spoiled = spoil(payload, chance(seed))
    read = read_delivery(Delivery(topic=topic, payload=spoiled, retained=False, received_at=NOW))
    assert isinstance(read, Refused)
    assert read.place is None


def test_a_share_of_the_clocks_is_wrong_in_every_way() -> None:
    clocks = [draw_clock(1, index, faults=0.3, started_at=NOW) for index in range(1000)]
    assert {one.fault for one in clocks} == set(ClockFault)
    wrong = sum(one.fault is not ClockFault.NONE for one in clocks)
    assert 200 < wrong < 400
    assert all(
        draw_clock(1, index, faults=0.0, started_at=NOW).fault is ClockFault.NONE
        for index in range(100)
    )


def test_clocks_show_what_their_faults_say() -> None:
    later = NOW + 100.0
    assert BoxClock(ClockFault.NONE, NOW).at(later) == later
    assert BoxClock(ClockFault.SINCE_1970, NOW).at(later) == 100.0
    assert BoxClock(ClockFault.DRIFTING, NOW, 0.02).at(later) == later + 2.0
    assert BoxClock(ClockFault.AHEAD, NOW).at(later) > later + 360 * 86_400


def test_the_agenda_does_what_is_due_in_its_order() -> None:
    done: list[str] = []
    agenda = Agenda()
    agenda.at(2.0, lambda: done.append("second"))
    agenda.at(1.0, lambda: done.append("first"))
    agenda.at(9.0, lambda: done.append("late"))
    agenda.do_due(3.0)
    assert done == ["first", "second"]


def test_what_an_action_puts_on_the_agenda_waits_for_the_next_look() -> None:
    """Else something that repeats itself at once would never end."""
    done: list[int] = []
    agenda = Agenda()

    def repeat() -> None:
        done.append(len(done))
        agenda.at(1.0, repeat)

    agenda.at(1.0, repeat)
    agenda.do_due(3.0)
    assert done == [0]
    agenda.do_due(3.0)
    assert done == [0, 1]
