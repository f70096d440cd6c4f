"""Tokens of the API: who may read, and who may operate."""

from __future__ import annotations

import enum
import hashlib
import hmac
import secrets
from datetime import UTC, datetime

import msgspec
import sqlalchemy as sa

from contract.topics import check_id
from fleet.errors import TokenError
from fleet.store.schema import tokens

#: Scanners for secrets that went astray know tokens by such a beginning.
_PREFIX = "ewf_"
_TOKEN_BYTES = 32
_DAY_S = 86_400


class Role(enum.StrEnum):
    """What a token permits; whoever operates reads as well."""

    READ = "read"
    OPERATE = "operate"

    def permits(self, wanted: Role) -> bool:
        """Whether this role is enough where `wanted` is asked for."""
        return self is Role.OPERATE or self is wanted


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What the store knows of one token; times are by the fleet's clock."""

    name: str
    role: Role
    created_at: float
    expires_at: float | None
    #: Day of the last use, UTC; None where it was never used.
    last_used_on: str | None

    def is_expired(self, now: float) -> bool:
        """Whether it is void by now."""
        return self.expires_at is not None and self.expires_at <= now


def create_token(
    connection: sa.Connection, name: str, role: Role, *, days: int | None, now: float
) -> str:
    """A new token, in letters that need no quoting; this is the only time that it is known.

    The store keeps its SHA-256. Stretching and salt protect what people choose; this is 256
    random bits, which nobody finds by trying, and which is looked up at every request.

    Raises:
        TopicError: `name` is not a valid identifier.
        TokenError: a token of that name is there.
    """
    check_id("token", name)
    if connection.scalar(sa.select(tokens.c.name).where(tokens.c.name == name)) is not None:
        message = f"token '{name}': there is one of that name; 'token revoke {name}' voids it"
        raise TokenError(message)
    token = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(
        sa.insert(tokens).values(
            name=name,
            sha256=_digest(token),
            role=role.value,
            created_at=now,
            expires_at=None if days is None else now + days * _DAY_S,
        )
    )
    return token


def list_tokens(connection: sa.Connection) -> list[Token]:
    """Every token, by name."""
    return [_token(row) for row in connection.execute(sa.select(tokens).order_by(tokens.c.name))]


def revoke_token(connection: sa.Connection, name: str) -> None:
    """Void a token from now on.

    Raises:
        TokenError: there is none of that name.
    """
    if not connection.execute(sa.delete(tokens).where(tokens.c.name == name)).rowcount:
        message = f"token '{name}': there is none; 'edgewright-fleet token list' shows them"
        raise TokenError(message)


def token_shown(connection: sa.Connection, shown: str, *, now: float) -> Token | None:
    """The token that `shown` is; None where it is none, or void by now."""
    digest = _digest(shown)
    # The time that the index takes tells of digests alone, from which nobody gets to a token.
    row = connection.execute(sa.select(tokens).where(tokens.c.sha256 == digest)).one_or_none()
    if row is None or not hmac.compare_digest(row.sha256, digest):
        return None
    found = _token(row)
    return None if found.is_expired(now) else found


def note_use(connection: sa.Connection, token: Token, *, now: float) -> None:
    """Keep the day on which a token was used."""
    connection.execute(
        sa.update(tokens).where(tokens.c.name == token.name).values(last_used_on=day_of(now))
    )


def day_of(at: float) -> str:
    """Day of a moment, UTC, as YYYY-MM-DD."""
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="backslashreplace")).hexdigest()


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    return Token(
        name=row.name,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_on=row.last_used_on,
    )
