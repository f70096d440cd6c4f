"""Files that prove who somebody is."""

from __future__ import annotations

import codecs
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.access import Access, client_id_of, client_name_of, username_of
from contract.errors import AccessError, TopicError

ids = st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True)


def test_the_end_of_the_line_is_no_part_of_a_password(tmp_path: Path) -> None:
    """Editors add one."""
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    assert Access(password_file=file).password() == "s3cret"


def test_a_byte_order_mark_is_no_part_of_a_password(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_bytes(codecs.BOM_UTF8 + b"s3cret\n")
    assert Access(password_file=file).password() == "s3cret"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 2000])
def test_what_is_no_password_is_named_by_its_file_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    """The message may be logged."""
    file = tmp_path / "password"
    file.write_bytes(content)
    with pytest.raises(AccessError, match="password_file") as caught:
        Access(password_file=file).password()
    assert "xxx" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """It was not copied, or to another place."""
    nowhere = tmp_path / "nowhere"
    with pytest.raises(AccessError, match="nowhere"):
        Access(password_file=nowhere).password()
    with pytest.raises(AccessError, match=r"nowhere.*edgewright-fleet enroll"):
        Access(ca_file=nowhere).tls_context()


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """Perhaps the wrong file was copied."""
    file = tmp_path / "ca.pem"
    file.write_text("hello")
    with pytest.raises(AccessError, match=r"ca\.pem"):
        Access(ca_file=file).tls_context()


def test_names_and_certificates_are_checked_and_old_tls_is_not_spoken() -> None:
    """Without a ca_file the system's authorities are trusted."""
    context = Access().tls_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@given(ids, ids, ids, ids)
def test_no_devices_id_begins_like_anothers(site: str, device: str, at: str, who: str) -> None:
    """`a-b`/`c` and `a`/`b-c` are two devices, and brokers take ids for the same or not."""
    one, another = client_name_of(site, device), client_name_of(at, who)
    is_same = (site, device) == (at, who)
    assert (one == another) is is_same
    assert is_same or not one.startswith(f"{another}:")


def test_an_id_is_the_same_at_every_connection_and_another_with_another_password() -> None:
    """Who does not know the password cannot name it."""
    name = client_name_of("lab", "box")
    assert client_id_of(name, None) == name
    assert client_id_of(name, "one") == client_id_of(name, "one") != client_id_of(name, "two")
    assert client_id_of(name, "one").startswith(f"{name}:")
    assert "one" not in client_id_of(name, "one")


def test_an_account_is_named_by_valid_identifiers_alone() -> None:
    """A wildcard in it would reach into the rules of a broker."""
    assert username_of("lab", "box") == "lab/box"
    for site, device in (("lab", "+"), ("#", "box"), ("lab", "a/b"), ("", "box")):
        with pytest.raises(TopicError):
            username_of(site, device)
