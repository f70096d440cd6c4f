"""How a program proves itself to a broker, and a broker to it: files, never their content."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from contract.errors import AccessError
from contract.files import HANDWRITTEN
from contract.topics import check_id

_PASSWORD_BYTES_AT_MOST = 1024
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME, _OTHER_ADDRESS = 62, 64
#: Enough of a hash that nobody guesses it.
_SUFFIX_DIGITS = 16


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What one account needs to connect; the files are read at every connection.

    Without `ca_file` the system's certificate authorities are trusted.
    """

    ca_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None

    def password(self) -> str | None:
        """The password, without the end of its line; None where no file is named.

        Raises:
            AccessError: the file cannot be read, or holds no password.
        """
        if self.password_file is None:
            return None
        try:
            with self.password_file.open("rb") as file:
                text = file.read(_PASSWORD_BYTES_AT_MOST + 1).decode(HANDWRITTEN).strip()
        except (OSError, UnicodeDecodeError) as error:
            message = f"password_file {self.password_file}: {error}"
            raise AccessError(message) from error
        if not text or len(text) > _PASSWORD_BYTES_AT_MOST:
            message = f"password_file {self.password_file}: expected one line with the password"
            raise AccessError(message)
        return text

    def tls_context(self) -> ssl.SSLContext:
        """Settings of a connection that trusts `ca_file` alone, checks the name, and is TLS 1.2+.

        Raises:
            AccessError: the file cannot be read, or is no certificate.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as error:
            message = (
                f"ca_file {self.ca_file}: {error}; expected the ca.pem that "
                "'edgewright-fleet enroll' wrote"
            )
            raise AccessError(message) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def username_of(site: str, device: str) -> str:
    """The account of a device: `site/device`.

    Raises:
        TopicError: `site` or `device` is not a valid identifier.
    """
    return f"{check_id('site', site)}/{check_id('device', device)}"


def client_name_of(site: str, device: str) -> str:
    """What a device's MQTT client id begins with; no other device's id does.

    Its parts are apart by what stands in no identifier, and what every broker takes: NATS takes
    no dots.
    """
    return f"edgewright:{site}:{device}"


def client_id_of(name: str, password: str | None) -> str:
    """The MQTT client id of a device, the same at every connection.

    A broker ends the connection of whoever had the id before. With a password, the id is one
    that only its holder can know, so no other device can do that.
    """
    if password is None:
        return name
    digest = hashlib.sha256(f"edgewright client id\n{name}\n{password}".encode()).hexdigest()
    return f"{name}:{digest[:_SUFFIX_DIGITS]}"


def why_tls_failed(address: BrokerAddress, error: ssl.SSLError) -> str:
    """One line about a handshake that failed: what is wrong and what to do about it."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"{address}: no TLS there ({error.reason or error}); is the port right?"
    if error.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        return (
            f"{address}: its certificate is not for '{address.host}'; use a name that is in it, "
            f"or add this one on the fleet's server: edgewright-fleet enroll SITE/DEVICE "
            f"--name {address.host}"
        )
    if error.verify_code in {_NOT_YET_VALID, _EXPIRED}:
        return f"{address}: {error.verify_message}; is the clock of this machine right?"
    return (
        f"{address}: its certificate is not from the authority in ca_file "
        f"({error.verify_message}); copy ca.pem from this fleet's server again"
    )
