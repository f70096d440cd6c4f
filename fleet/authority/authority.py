"""The folder that holds a fleet's certificates and accounts."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from contract.access import Access, username_of
from contract.address import BrokerAddress
from fleet.authority.certificates import KeyPair, is_current, make_authority, make_server, names_in
from fleet.authority.credentials import Credentials
from fleet.authority.names import check_host, likely_address, names_of_this_machine
from fleet.authority.passwords import (
    bcrypt_hash,
    hash_password,
    make_password,
    parse_accounts,
    render_accounts,
)
from fleet.authority.private import make_private_folder, write_private
from fleet.authority.rules import FLEET
from fleet.errors import AuthorityError, AuthorityMissingError

_log = logging.getLogger(__name__)


class Authority:
    """The authority in one folder; `open` makes it, `existing` expects it.

    Every change is made under a lock and appears whole, so commands may run beside each
    other and beside a broker that reads the same files.

    Args:
        folder: where everything lies; only its owner may look into it.
        names: the names of this machine now, for the broker's certificate.
        now: the present time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        names: Callable[[], set[str]] = names_of_this_machine,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self.folder = folder
        self._names = names
        self._now = now

    @classmethod
    def open(cls, folder: Path) -> Authority:
        """The authority in `folder`, with whatever was missing made.

        Raises:
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        authority = cls(folder)
        is_new = not authority.ca_file.exists()
        authority.prepare()
        if is_new:
            # By a misspelt folder another fleet begins, whose certificate no device knows.
            _log.warning("new authority made folder=%s", folder)
        return authority

    @classmethod
    def existing(cls, folder: Path) -> Authority:
        """The authority in `folder`.

        Raises:
            AuthorityMissingError: there is none.
        """
        authority = cls(folder)
        if not authority.ca_file.exists():
            message = (
                f"{folder}: no authority there; 'edgewright-fleet enroll SITE/DEVICE' makes "
                "one, --authority names another folder"
            )
            raise AuthorityMissingError(message)
        return authority

    @property
    def ca_file(self) -> Path:
        """The certificate that devices are given."""
        return self.folder / "ca.pem"

    @property
    def server_file(self) -> Path:
        """The broker's certificate and its private key, in one file so that they fit."""
        return self.folder / "server.pem"

    @property
    def accounts_file(self) -> Path:
        """Accounts with hashes of their passwords, as Mosquitto's `password_file`."""
        return self.folder / "passwords"

    @property
    def fleet_access(self) -> Access:
        """How the collector and the commands connect."""
        return Access(ca_file=self.ca_file, username=FLEET, password_file=self._fleet_password_file)

    def prepare(self) -> None:
        """Make what is missing or outdated: certificates, and the fleet's own account.

        The broker's certificate is made anew when this machine got another name or address,
        when a name was added, and a year before its end.

        Raises:
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        with self._changing():
            self._make_ca()
            self._make_server()
            accounts = self._accounts()
            password_file = self._fleet_password_file
            if FLEET not in accounts or not password_file.exists():
                password = make_password()
                write_private(password_file, f"{password}\n".encode())
                self._keep(FLEET, password)
            elif FLEET not in self._bcrypt_hashes(accounts):
                # An authority of before they were kept; this account's password is at hand.
                hashed = bcrypt_hash(password_file.read_text().strip())
                self._write_accounts(accounts, self._bcrypt_hashes(accounts) | {FLEET: hashed})

    def enroll(self, site: str, device: str) -> Credentials:
        """New credentials of a device; those that it had before are void.

        Raises:
            TopicError: `site` or `device` is not a valid identifier.
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        credentials = self.draft(site, device)
        self.accept(credentials)
        return credentials

    def draft(self, site: str, device: str) -> Credentials:
        """Credentials that hold once they are accepted; until then, those before do.

        For getting them to the device first, which may fail.

        Raises:
            TopicError: `site` or `device` is not a valid identifier.
            AuthorityError: the authority's certificate cannot be read.
        """
        with _translated(self.folder):
            return Credentials(
                username=username_of(site, device),
                password=make_password(),
                ca_pem=self.ca_file.read_bytes(),
            )

    def accept(self, credentials: Credentials) -> None:
        """Let a device in with these credentials, and no longer with those before.

        Raises:
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        with self._changing():
            self._keep(credentials.username, credentials.password)

    def revoke(self, site: str, device: str) -> bool:
        """Void a device's credentials; False where it has none.

        Raises:
            TopicError: `site` or `device` is not a valid identifier.
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        username = username_of(site, device)
        with self._changing():
            accounts = self._accounts()
            hashes = self._bcrypt_hashes(accounts)
            was_there = accounts.pop(username, None) is not None
            hashes.pop(username, None)
            self._write_accounts(accounts, hashes)
            return was_there

    def add_names(self, names: Sequence[str], *, is_preferred: bool = False) -> None:
        """Let devices reach the broker by these host names or addresses as well.

        Preferred ones come before those of before: the first is what devices are told.

        Raises:
            AddressError: a name is neither a host name nor an address.
            AuthorityError: the folder cannot be written, or a file in it is damaged.
        """
        with self._changing():
            known = self.given_names()
            given = list(map(check_host, names))
            known = [*given, *known] if is_preferred else [*known, *given]
            known = list(dict.fromkeys(known))
            write_private(self._names_file, "".join(f"{name}\n" for name in known).encode())
            self._make_server()

    def given_names(self) -> list[str]:
        """Names that were added, in their order."""
        if not self._names_file.exists():
            return []
        return self._names_file.read_text().split()

    def public_host(self) -> str:
        """The name or address by which devices most likely reach this machine."""
        return next(iter(self.given_names()), None) or likely_address()

    def accounts(self) -> Mapping[str, str]:
        """Hash of each account's password, by account.

        Raises:
            AuthorityError: the file is missing or damaged.
        """
        with _translated(self.folder):
            return self._accounts()

    def bcrypt_hashes(self) -> Mapping[str, str]:
        """The bcrypt hash of each account's password, by account.

        An account that was made before they were kept has none, until it is enrolled again.

        Raises:
            AuthorityError: a file is missing or damaged.
        """
        with _translated(self.folder):
            return self._bcrypt_hashes(self._accounts())

    @property
    def _bcrypt_file(self) -> Path:
        return self.folder / "passwords.bcrypt"

    @property
    def _fleet_password_file(self) -> Path:
        return self.folder / "fleet.password"

    @property
    def _names_file(self) -> Path:
        return self.folder / "names"

    @property
    def _ca_key_file(self) -> Path:
        return self.folder / "ca.key"

    def _make_ca(self) -> None:
        if self.ca_file.exists() and self._ca_key_file.exists():
            return
        if self.ca_file.exists() or self._ca_key_file.exists():
            # A new one in its place would lock out every device that trusts the old one.
            message = (
                "expected both ca.pem and ca.key; restore the other from a backup, or remove "
                "both and enroll every device again"
            )
            raise AuthorityError(message)
        made = make_authority(now=self._now())
        write_private(self._ca_key_file, made.key)
        write_private(self.ca_file, made.certificate)

    def _make_server(self) -> None:
        names = self._names() | set(self.given_names())
        ca = KeyPair(self.ca_file.read_bytes(), self._ca_key_file.read_bytes())
        if self.server_file.exists():
            present = self.server_file.read_bytes()
            is_good = is_current(present, ca.certificate, now=self._now())
            if is_good and names <= names_in(present):
                return
        made = make_server(ca, sorted(names), now=self._now())
        write_private(self.server_file, made.certificate + made.key)

    def _accounts(self) -> dict[str, str]:
        if not self.accounts_file.exists():
            return {}
        return parse_accounts(self.accounts_file.read_bytes())

    def _bcrypt_hashes(self, accounts: Mapping[str, str]) -> dict[str, str]:
        """Those that belong to the passwords in `accounts`.

        Each line repeats the hash that it was made beside: a release of before, or a process
        that was killed between two files, changes `accounts` alone, and a voided password must
        not hold on for one of the brokers.
        """
        if not self._bcrypt_file.exists():
            return {}
        found = {}
        for account, line in parse_accounts(self._bcrypt_file.read_bytes()).items():
            hashed, _, beside = line.partition(":")
            if accounts.get(account) == beside:
                found[account] = hashed
        return found

    def _keep(self, account: str, password: str) -> None:
        accounts = self._accounts()
        hashes = self._bcrypt_hashes(accounts) | {account: bcrypt_hash(password)}
        self._write_accounts(accounts | {account: hash_password(password)}, hashes)

    def _write_accounts(self, accounts: dict[str, str], hashes: dict[str, str]) -> None:
        lines = {account: f"{hashed}:{accounts[account]}" for account, hashed in hashes.items()}
        write_private(self._bcrypt_file, render_accounts(lines))
        write_private(self.accounts_file, render_accounts(accounts))

    @contextlib.contextmanager
    def _changing(self) -> Iterator[None]:
        with _translated(self.folder):
            make_private_folder(self.folder)
            with (self.folder / ".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield


def fleet_access(address: BrokerAddress, folder: Path) -> Access:
    """How the fleet connects to a broker: with its account where there is TLS, else with none.

    Raises:
        AuthorityMissingError: there is no authority in `folder`.
    """
    return Authority.existing(folder).fleet_access if address.tls else Access()


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except AuthorityError as error:
        message = f"{folder}: {error}"
        raise AuthorityError(message) from error
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or error
        message = f"{folder}: {cause}; restore the folder, or name another with --authority"
        raise AuthorityError(message) from error
