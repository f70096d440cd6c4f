"""Who the embedded broker lets in, decided on real files."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.access import client_id_of, client_name_of
from contract.topics import Leaf
from edgewright.rate_limit import BURST
from fleet.authority.authority import Authority
from fleet.authority.passwords import hash_password
from fleet.broker.doorkeeper import Caller, Doorkeeper, Pass, Refusal
from support.accounts import own


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "authority")


@pytest.fixture
def password(authority: Authority) -> str:
    """The password of the device lab/box."""
    return authority.enroll("lab", "box").password


@pytest.fixture
def doorkeeper(authority: Authority, password: str) -> Doorkeeper:
    assert password
    return Doorkeeper(authority)


def caller(password: str, /, **claims: str | None) -> Caller:
    """The device lab/box as it should call, with what is given instead."""
    honest: dict[str, str | None] = {
        "client_id": client_id_of(client_name_of("lab", "box"), password),
        "username": "lab/box",
        "password": password,
        "will_topic": own("box", Leaf.STATE),
    }
    return Caller(**(honest | claims))  # type: ignore[arg-type]


def test_an_enrolled_device_gets_a_pass(doorkeeper: Doorkeeper, password: str) -> None:
    given = doorkeeper.admit(caller(password))
    assert isinstance(given, Pass)
    assert given.account == "lab/box"
    assert doorkeeper.is_welcome(given)


@pytest.mark.parametrize(
    "client_id",
    [
        "", "anything", "lab/box", "edgewright:lab:box2", "edgewright:lab:other", "edgewright:lab",
        "edgewright.lab.box2", "edgewright.lab.other", "edgewright.lab",
    ],
)  # fmt: skip
def test_a_device_has_no_id_but_its_own(
    doorkeeper: Doorkeeper, password: str, client_id: str
) -> None:
    assert doorkeeper.admit(caller(password, client_id=client_id)) is Refusal.IDENTIFIER


@pytest.mark.parametrize("client_id", ["edgewright.lab.box", "edgewright.lab.box.0123456789abcdef"])
def test_an_agent_of_before_comes_in_with_dots_in_its_id(
    doorkeeper: Doorkeeper, password: str, client_id: str
) -> None:
    assert isinstance(doorkeeper.admit(caller(password, client_id=client_id)), Pass)


def test_not_even_who_knows_anothers_id_can_take_it(
    authority: Authority, doorkeeper: Doorkeeper, password: str
) -> None:
    known = client_id_of(client_name_of("lab", "other"), authority.enroll("lab", "other").password)
    assert doorkeeper.admit(caller(password, client_id=known)) is Refusal.IDENTIFIER


@pytest.mark.parametrize("topic", [own("other", Leaf.STATE), own("box", Leaf.ACK), "#", ""])
def test_a_last_will_is_for_ones_own_topics(
    doorkeeper: Doorkeeper, password: str, topic: str
) -> None:
    assert doorkeeper.admit(caller(password, will_topic=topic)) is Refusal.NOT_AUTHORIZED


@pytest.mark.parametrize(
    "claims", [{"password": "guess"}, {"password": None}, {"username": None}, {"username": "fleet"}]
)
def test_account_and_password_must_fit(
    doorkeeper: Doorkeeper, password: str, claims: dict[str, str | None]
) -> None:
    assert doorkeeper.admit(caller(password, **claims)) is Refusal.NOT_AUTHORIZED


def test_an_account_added_by_hand_is_of_no_device(
    authority: Authority, doorkeeper: Doorkeeper
) -> None:
    with authority.accounts_file.open("a") as file:
        file.write(f"dashboard:{hash_password('known')}\n")
    stranger = caller("known", username="dashboard", will_topic=None)
    assert doorkeeper.admit(stranger) is Refusal.IDENTIFIER


def test_a_pass_is_void_with_the_password_it_was_given_for(
    authority: Authority, doorkeeper: Doorkeeper, password: str
) -> None:
    given = doorkeeper.admit(caller(password))
    assert isinstance(given, Pass)
    renewed = authority.enroll("lab", "box").password
    doorkeeper.look_again()
    assert not doorkeeper.is_welcome(given)
    assert isinstance(doorkeeper.admit(caller(renewed)), Pass)


def test_while_the_accounts_cannot_be_read_the_last_known_hold(
    authority: Authority,
    doorkeeper: Doorkeeper,
    password: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = authority.accounts_file.read_bytes()
    authority.accounts_file.write_bytes(b"\xff damaged")
    given = doorkeeper.admit(caller(password))
    assert isinstance(given, Pass)
    assert "authority unreadable" in caplog.text
    authority.accounts_file.write_bytes(good)
    authority.revoke("lab", "box")
    assert doorkeeper.admit(caller(password)) is Refusal.NOT_AUTHORIZED


def test_no_password_is_logged_or_shown(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = caller("s3cret", username="lab/nobody")
    doorkeeper.admit(stranger)
    assert "lab/nobody" in caplog.text
    assert "s3cret" not in caplog.text + f"{stranger} {stranger!r}"


def test_refused_logins_do_not_fill_the_log(
    doorkeeper: Doorkeeper, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * BURST):
        doorkeeper.admit(caller("guess"))
    assert len(caplog.records) == BURST
