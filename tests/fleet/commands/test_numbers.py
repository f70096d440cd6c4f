"""Numbers that no store and no clock can work with."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fleet.cli import cli
from fleet.store.database import Database
from support.stores import ON_BOTH

TOO_MANY = str(2**63)


@ON_BOTH
@pytest.mark.usefixtures("database")
def test_a_number_beyond_any_row_is_wrong_use_with_either_store(store_url: str) -> None:
    for words in (
        ("devices", "--limit", TOO_MANY),
        ("recommendations", "--limit", TOO_MANY),
        ("explain", "--decision", TOO_MANY),
        ("quarantine", "--limit", TOO_MANY),
        ("quarantine", "--limit", "0"),
        ("quarantine", "--limit=-5"),
        ("quarantine", "show", TOO_MANY),
        ("quarantine", "replay", TOO_MANY),
    ):
        done = CliRunner().invoke(cli, words, env={"EDGEWRIGHT_DB": store_url})
        assert (done.exit_code, done.stdout) == (2, ""), words
        assert "Invalid value" in done.stderr


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_what_is_no_finite_number_is_wrong_use(number: str, database: Database) -> None:
    for words in (
        ("retain", "--samples-days", number),
        ("retain", "--quarantine-days", number),
        ("serve", "--keep-samples", number),
        ("simulate", "--rate", number),
        ("simulate", "--duration", number),
        ("simulate", "--malformed", number),
        ("simulate", "--grace", number),
        ("conform", "--timeout", number),
        ("api", "--stale-after-hours", number),
    ):
        done = CliRunner().invoke(cli, words, env={"EDGEWRIGHT_DB": database.url})
        assert (done.exit_code, done.stdout) == (2, ""), words
        assert "Invalid value" in done.stderr
