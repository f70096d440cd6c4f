"""Lets clients of the embedded broker in, by their account, and out again when it is void."""

from __future__ import annotations

import enum
import ssl
from collections.abc import Mapping

import msgspec

from contract.access import client_name_of
from edgewright.rate_limit import rate_limited_logger
from fleet.authority.authority import Authority
from fleet.authority.passwords import is_password
from fleet.authority.rules import FLEET, may_write
from fleet.errors import AuthorityError

_log = rate_limited_logger(__name__)

_SHOWN_CHARACTERS = 80


class Refusal(enum.IntEnum):
    """Why a client may not enter, as CONNACK says it (MQTT 3.1.1, table 3.1)."""

    IDENTIFIER = 2
    UNAVAILABLE = 3
    NOT_AUTHORIZED = 5


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of itself in its first packet."""

    client_id: str
    username: str | None
    password: str | None
    will_topic: str | None

    def __repr__(self) -> str:
        """Show who it says it is, and no password."""
        return f"Caller(client_id={self.client_id!r}, username={self.username!r})"


class Pass(msgspec.Struct, frozen=True):
    """With whose credentials a client came in; `proof` is the hash that they fitted."""

    account: str
    proof: str

    @property
    def is_device(self) -> bool:
        """Whether it is a device's."""
        return self.account != FLEET


class Doorkeeper:
    """Knows the accounts of an authority and notices when they, or its certificate, change."""

    def __init__(self, authority: Authority) -> None:
        """Read the accounts and the certificate.

        Raises:
            AuthorityError: they cannot be read.
        """
        self._authority = authority
        self._accounts: Mapping[str, str] = {}
        self._seen: list[tuple[int, int] | None] = []
        self._trouble: str | None = None
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._read()

    def admit(self, caller: Caller) -> Pass | Refusal:
        """A pass for a caller whose credentials fit, whose id is its own, and whose will may be."""
        self.look_again()
        account = caller.username
        proof = self._accounts.get(account or "")
        if account is None or proof is None or not is_password(caller.password or "", proof):
            return _refuse(caller, Refusal.NOT_AUTHORIZED, "no such account, or another password")
        if account != FLEET and not _is_own_id(account, caller.client_id):
            return _refuse(caller, Refusal.IDENTIFIER, "the client id is not of this device")
        if caller.will_topic is not None and not may_write(account, caller.will_topic):
            return _refuse(caller, Refusal.NOT_AUTHORIZED, "its will is for another's topic")
        return Pass(account, proof)

    def is_welcome(self, given: Pass) -> bool:
        """Whether the credentials of somebody who is in are still those of the account."""
        return self._accounts.get(given.account) == given.proof

    def look_again(self) -> None:
        """Take up accounts and a certificate that have changed since; cheap where none did."""
        if _stamps(self._authority) == self._seen:
            return
        try:
            self._read()
        except AuthorityError as error:
            # What was read last holds, and the files are read again the next time.
            if str(error) != self._trouble:
                self._trouble = str(error)
                _log.error("authority unreadable reason=%s", error)
        else:
            self._trouble = None

    def _read(self) -> None:
        # First, or a change in between would not be noticed.
        seen = _stamps(self._authority)
        accounts = self._authority.accounts()
        try:
            self.tls.load_cert_chain(self._authority.server_file)
        except OSError as error:
            message = f"{self._authority.server_file}: {error}"
            raise AuthorityError(message) from error
        self._accounts, self._seen = accounts, seen


def _stamps(authority: Authority) -> list[tuple[int, int] | None]:
    """What changes when a file is replaced; None where one is missing."""
    stamps: list[tuple[int, int] | None] = []
    for path in (authority.accounts_file, authority.server_file):
        try:
            found = path.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_ino, found.st_mtime_ns))
    return stamps


def _is_own_id(account: str, client_id: str) -> bool:
    site, _, device = account.partition("/")
    own = client_name_of(site, device)
    # Agents had dots in it once; those that are out there still have.
    return any(
        client_id == name or client_id.startswith(f"{name}{mark}")
        for name, mark in ((own, ":"), (f"edgewright.{site}.{device}", "."))
    )


def _refuse(caller: Caller, refusal: Refusal, reason: str) -> Refusal:
    shown = None if caller.username is None else caller.username[:_SHOWN_CHARACTERS]
    _log.warning("refused username=%r reason=%s", shown, reason)
    return refusal
