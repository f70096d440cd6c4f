"""Tokens in the store."""

from __future__ import annotations

import pytest

from contract.errors import TopicError
from fleet.errors import TokenError
from fleet.store.database import Database
from fleet.store.tokens import Role, create_token, list_tokens, revoke_token, token_shown


def test_a_token_holds_for_its_days_and_no_other_text_does(database: Database) -> None:
    with database.writing() as connection:
        made = create_token(connection, "bot", Role.OPERATE, days=2, now=0.0)
        found = token_shown(connection, made, now=172_799.0)
        assert found is not None
        assert (found.name, found.role) == ("bot", Role.OPERATE)
        assert token_shown(connection, made, now=172_800.0) is None
        for other in (made[:-1], f"{made} ", made.upper(), "", "bot", "\ud800"):
            assert token_shown(connection, other, now=1.0) is None
        assert made not in str(connection.exec_driver_sql("SELECT * FROM tokens").all())


def test_a_name_is_taken_once_until_it_is_revoked(database: Database) -> None:
    with database.writing() as connection:
        first = create_token(connection, "bot", Role.READ, days=None, now=0.0)
        with pytest.raises(TokenError, match="there is one of that name"):
            create_token(connection, "bot", Role.READ, days=None, now=0.0)
        revoke_token(connection, "bot")
        second = create_token(connection, "bot", Role.READ, days=None, now=0.0)
        assert [one.name for one in list_tokens(connection)] == ["bot"]
        assert token_shown(connection, first, now=1.0) is None
        assert token_shown(connection, second, now=1.0) is not None
        with pytest.raises(TokenError, match="there is none"):
            revoke_token(connection, "other")
        with pytest.raises(TopicError, match="token 'Not One'"):
            create_token(connection, "Not One", Role.READ, days=None, now=0.0)
