"""Passwords as brokers keep them.

Mosquitto: `$7$`, PBKDF2 with SHA-512, a salt for each (RFC 8018); so does the embedded broker.
NATS: bcrypt (Provos and Mazieres, "A Future-Adaptable Password Scheme", 1999).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets

import bcrypt

from fleet.errors import AuthorityError

_KIND = "7"
#: Mosquitto's own figures. Stretching protects what people choose; these passwords are 256
#: random bits, and a small server proves thousands of them when a site's power comes back.
_ROUNDS = 101
_SALT_BYTES = 12
_PASSWORD_BYTES = 32
#: The least that bcrypt has, for the same reason.
_BCRYPT_COST = 4
#: A damaged file must not keep the broker busy for minutes.
_ROUNDS_AT_MOST = 1_000_000


def make_password() -> str:
    """A new password of 256 random bits, in letters that need no quoting."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def hash_password(password: str) -> str:
    """What stands for a password in the file."""
    salt = os.urandom(_SALT_BYTES)
    parts = [_KIND, str(_ROUNDS), _text(salt), _text(_derived(password, salt, _ROUNDS))]
    return "".join(f"${part}" for part in parts)


def bcrypt_hash(password: str) -> str:
    """What stands for a password in NATS's configuration."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(_BCRYPT_COST)).decode()


def is_password(password: str, hashed: str) -> bool:
    """Whether `hashed` stands for `password`; False where it is of another kind or damaged."""
    match hashed.split("$"):
        case ["", kind, rounds, salt, digest] if kind == _KIND and rounds.isdecimal():
            pass
        case _:
            return False
    if not 0 < int(rounds) <= _ROUNDS_AT_MOST:
        return False
    try:
        expected = base64.b64decode(digest, validate=True)
        derived = _derived(password, base64.b64decode(salt, validate=True), int(rounds))
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(derived, expected)


def parse_accounts(content: bytes) -> dict[str, str]:
    """Hash of each account's password from the content of a file.

    Raises:
        AuthorityError: not text, or a line without a colon.
    """
    accounts: dict[str, str] = {}
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        message = f"passwords: expected lines NAME:HASH: {error}"
        raise AuthorityError(message) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, hashed = line.partition(":")
        if not colon:
            message = f"passwords, line {number}: expected NAME:HASH"
            raise AuthorityError(message)
        accounts[name] = hashed.strip()
    return accounts


def render_accounts(accounts: dict[str, str]) -> bytes:
    """The content of a file of accounts, in the order of their names."""
    return "".join(f"{name}:{hashed}\n" for name, hashed in sorted(accounts.items())).encode()


def _derived(password: str, salt: bytes, rounds: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
