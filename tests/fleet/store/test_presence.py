"""Births and deaths, in whatever order the broker delivers them."""

from __future__ import annotations

import pytest

from contract.messages import Presence, State
from fleet.store.presence import Connection, next_connection


def said(presence: Presence, boot: str, number: int, at: float = 0.0) -> State:
    return State(
        site="lab", device="box", presence=presence, boot_id=boot, connection=number, at=at
    )


def after(*messages: State) -> Presence:
    known: Connection | None = None
    for message in messages:
        known = next_connection(known, message, now=1000.0)
    assert known is not None
    return known.presence


def test_a_death_of_the_present_connection_counts() -> None:
    assert after(said(Presence.ONLINE, "b", 1), said(Presence.OFFLINE, "b", 1)) is Presence.OFFLINE


def test_a_late_last_will_of_an_earlier_connection_does_not_hide_the_next_birth() -> None:
    assert (
        after(
            said(Presence.ONLINE, "b", 1),
            said(Presence.ONLINE, "b", 2),
            said(Presence.OFFLINE, "b", 1),
        )
        is Presence.ONLINE
    )


def test_a_late_last_will_of_an_earlier_boot_does_not_hide_the_next_boot() -> None:
    assert (
        after(
            said(Presence.ONLINE, "b", 5, at=10),
            said(Presence.ONLINE, "c", 1, at=20),
            said(Presence.OFFLINE, "b", 5, at=10),
        )
        is Presence.ONLINE
    )


def test_a_late_last_will_does_not_hide_a_boot_whose_clock_starts_in_1970() -> None:
    assert (
        after(
            said(Presence.ONLINE, "b", 5, at=1_700_000_000),
            said(Presence.ONLINE, "c", 1, at=60),
            said(Presence.ONLINE, "d", 1, at=60),
            said(Presence.OFFLINE, "c", 1, at=60),
            said(Presence.OFFLINE, "b", 5, at=1_700_000_000),
        )
        is Presence.ONLINE
    )


@pytest.mark.parametrize("at", [20.0, 5.0])
def test_a_death_whose_birth_was_missed_counts_whatever_its_clock_says(at: float) -> None:
    assert (
        after(said(Presence.ONLINE, "b", 5, at=10), said(Presence.OFFLINE, "c", 1, at=at))
        is Presence.OFFLINE
    )
    assert after(said(Presence.ONLINE, "b", 5), said(Presence.OFFLINE, "b", 6)) is Presence.OFFLINE


def test_a_dead_connection_does_not_come_back() -> None:
    assert (
        after(
            said(Presence.ONLINE, "b", 1),
            said(Presence.OFFLINE, "b", 1),
            said(Presence.ONLINE, "b", 1),
        )
        is Presence.OFFLINE
    )
