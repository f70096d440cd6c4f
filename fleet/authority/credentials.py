"""What one device needs to join, in hand and as files."""

from __future__ import annotations

from pathlib import Path

import msgspec

from contract.files import write_atomically
from fleet.authority.passwords import is_password
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


def expect_no_other_password(folder: Path, account: str | None) -> None:
    """See that writing a device's files into `folder` takes no other device's only password.

    Args:
        folder: where they go.
        account: hash of the device's password of before; None where it has none.

    Raises:
        AuthorityError: a password is there that is not this device's.
    """
    path = folder / PASSWORD_NAME
    try:
        there = path.read_text().strip()
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, UnicodeDecodeError):
        there = ""
    if account is None or not is_password(there, account):
        message = (
            f"{path}: expected no password there, or this device's, got another; name another "
            "folder with --out, or remove the file if no device needs it"
        )
        raise AuthorityError(message)


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
