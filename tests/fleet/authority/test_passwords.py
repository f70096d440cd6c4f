"""Passwords as Mosquitto keeps them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.authority.passwords import (
    hash_password,
    is_password,
    make_password,
    parse_accounts,
    render_accounts,
)
from fleet.errors import AuthorityError

#: HMAC fills keys up with zeros, so a password is no other one with zeros behind it (RFC 2104).
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


@given(texts, texts)
def test_a_hash_stands_for_one_password(password: str, other: str) -> None:
    hashed = hash_password(password)
    assert is_password(password, hashed)
    assert is_password(other, hashed) is (other == password)


def test_equal_passwords_have_different_hashes() -> None:
    assert hash_password("same") != hash_password("same")


@given(st.text(max_size=60))
def test_a_damaged_hash_stands_for_no_password(hashed: str) -> None:
    assert not is_password("any", hashed)
    assert not is_password("any", f"$7${hashed}")
    assert not is_password("any", f"$7$101${hashed}$AAAA")


def test_a_hash_that_would_take_minutes_is_not_computed() -> None:
    assert not is_password("any", "$7$999999999999$AAAA$AAAA")


def test_what_mosquittos_own_tool_wrote_is_understood(tmp_path: Path) -> None:
    tool = shutil.which("mosquitto_passwd")
    if tool is None:
        pytest.skip("mosquitto_passwd is not installed")
    file = tmp_path / "passwords"
    subprocess.run([tool, "-b", "-c", str(file), "lab/box", "theirs"], check=True)
    hashed = parse_accounts(file.read_bytes())["lab/box"]
    assert is_password("theirs", hashed)
    assert not is_password("others", hashed)


def test_passwords_are_long_and_never_the_same() -> None:
    made = {make_password() for _ in range(100)}
    assert len(made) == 100
    assert min(map(len, made)) >= 43


def test_accounts_survive_being_written_and_read() -> None:
    accounts = {"lab/box": "$7$x", "fleet": "$7$y"}
    assert parse_accounts(render_accounts(accounts)) == accounts
    assert parse_accounts(b"# a remark\n\nfleet:$7$y\n") == {"fleet": "$7$y"}


@pytest.mark.parametrize("content", [b"fleet\n", b"a:b\nno colon\n", b"\xff"])
def test_a_damaged_file_is_refused_with_what_was_expected(content: bytes) -> None:
    with pytest.raises(AuthorityError, match=r"expected .*NAME:HASH"):
        parse_accounts(content)
