"""What one device needs to join, in hand and as files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from contract.files import write_atomically
from fleet.authority.private import make_private_folder, write_private
from fleet.errors import AuthorityError

_CA_NAME, PASSWORD_NAME = "ca.pem", "password"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What one device needs to join; printing it shows no secret."""

    username: str
    password: str
    ca_pem: bytes

    def __repr__(self) -> str:
        """Show whose they are."""
        return f"Credentials(username={self.username!r})"

    __str__ = __repr__


def write_credentials(credentials: Credentials, folder: Path) -> list[Path]:
    """Write a device's files into `folder`: `ca.pem`, and `password` for its owner alone.

    Raises:
        AuthorityError: the folder cannot be written.
    """
    ca_file, password_file = folder / _CA_NAME, folder / PASSWORD_NAME
    try:
        make_private_folder(folder)
        write_atomically(ca_file, credentials.ca_pem)
        write_private(password_file, f"{credentials.password}\n".encode())
    except OSError as error:
        message = f"{folder}: {error.strerror or error}; expected a folder that can be written"
        raise AuthorityError(message) from error
    return [ca_file, password_file]
