"""Options that have no effect in some use of a command: they are refused, by name."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from fleet.cli import cli
from fleet.store.database import Database
from support.filling import fill, refuse_one
from support.measurements import make_run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("export devices --output - --format csv --policy fastest", "--policy has no effect on d"),
        ("export results --output - --format csv --policy fastest", "--policy has no effect on r"),
        ("export devices --output - --format csv --variant a", "--variant has no effect on dev"),
        ("export recommendations --output - --format csv --since 2026-01-01", "--since has no e"),
        ("explain --decision 1 --policy fastest", "--policy has no effect with --decision"),
        ("quarantine --limit 3 show 1", "--limit has no effect before 'show'"),
        ("quarantine --json replay 1", "--json has no effect before 'replay'"),
        ("quarantine show 1 --raw --json", "--json has no effect with --raw"),
        ("api --listen 127.0.0.1:0 --tls-key key.pem", "--tls-key has no effect without --tls-c"),
        ("conform --password-file FILE", "--password-file has no effect without --username"),
        ("conform --as-device lab/box --username me", "--username has no effect with --as-device"),
    ],
)
def test_an_option_without_effect_is_refused_by_name(
    words: str, said: str, database: Database
) -> None:
    fill(database, "box", make_run())
    refuse_one(database)
    arguments = [__file__ if word == "FILE" else word for word in words.split()]
    done = CliRunner().invoke(cli, arguments, env={"EDGEWRIGHT_DB": database.url})
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr


def test_what_a_variable_of_the_environment_says_may_be_of_other_commands(
    database: Database,
) -> None:
    refuse_one(database)
    done = CliRunner().invoke(cli, ["quarantine", "show", "1"], env={"EDGEWRIGHT_DB": database.url})
    assert done.exit_code == 0
    done = CliRunner().invoke(cli, ["quarantine", "--db", database.url, "show", "1"])
    assert done.exit_code == 0


def test_a_dry_run_of_a_vacuum_says_what_it_would_do(database: Database) -> None:
    words = ["retain", "--vacuum", "--dry-run"]
    done = CliRunner().invoke(cli, words, env={"EDGEWRIGHT_DB": database.url})
    assert "the store would be written anew" in done.stdout
