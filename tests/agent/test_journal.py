"""The agent's database."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from agent.errors import JournalError, JournalFullError
from agent.journal import Journal
from agent.salvage import open_outbox
from support.modes import modes_in

MEGABYTE = 1_000_000


def test_a_failed_transaction_changes_nothing(tmp_path: Path) -> None:
    """All of a block, or none."""
    journal = Journal(tmp_path / "agent.sqlite", limit_bytes=MEGABYTE)

    def interrupted() -> None:
        with journal.transaction() as connection:
            connection.execute("INSERT INTO meta VALUES ('key', 'value')")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with journal.reading() as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)


@pytest.mark.usefixtures("wide_umask")
def test_a_new_database_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agent.sqlite"
    journal = Journal(path, limit_bytes=MEGABYTE)
    with journal.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('key', 'value')")
    assert modes_in(tmp_path) == dict.fromkeys(
        ("agent.sqlite", "agent.sqlite-shm", "agent.sqlite-wal"), 0o600
    )
    journal.close()
    path.chmod(0o640)
    again = Journal(path, limit_bytes=MEGABYTE)
    with again.transaction() as connection:
        connection.execute("INSERT INTO meta VALUES ('other', 'value')")
    assert set(modes_in(tmp_path).values()) == {0o640}
    again.close()


def test_a_database_that_others_may_read_is_named_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "agent.sqlite"
    for mode, told in ((0o600, 0), (0o644, 1)):
        Journal(path, limit_bytes=MEGABYTE).close()
        path.chmod(mode)
        journal, _ = open_outbox(path, limit_bytes=MEGABYTE, site="lab", device="box")
        journal.close()
        assert (
            len([one for one in caplog.records if one.message == "journal_open_to_others"]) == told
        )


def test_every_commit_is_on_the_disk(tmp_path: Path) -> None:
    """WAL with synchronous=FULL (2) syncs at every commit."""
    journal = Journal(tmp_path / "agent.sqlite", limit_bytes=MEGABYTE)
    with journal.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_full_disk_is_told_from_other_trouble(tmp_path: Path) -> None:
    """The caller can make room for one, not for the other."""
    journal = Journal(tmp_path / "agent.sqlite", limit_bytes=100_000)
    with pytest.raises(JournalFullError, match="outbox_limit_mb"), journal.transaction() as c:
        c.execute("INSERT INTO meta VALUES ('key', ?)", ("x" * 200_000,))
    journal.close()
    (tmp_path / "other.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(JournalError, match="not a database"):
        Journal(tmp_path / "other.sqlite", limit_bytes=MEGABYTE)


def test_a_database_of_a_later_agent_is_left_alone(tmp_path: Path) -> None:
    """Downgrading must not damage what the later agent wrote."""
    path = tmp_path / "agent.sqlite"
    Journal(path, limit_bytes=MEGABYTE).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(JournalError, match="schema 9 is newer"):
        Journal(path, limit_bytes=MEGABYTE)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file stands where the state folder should be."""
    (tmp_path / "state").write_text("")
    with pytest.raises(JournalError, match="state"):
        Journal(tmp_path / "state" / "agent.sqlite", limit_bytes=MEGABYTE)


def test_the_file_of_an_agent_that_took_no_turns_is_used_on(tmp_path: Path) -> None:
    """Under the same schema number, so that the older agent could be put back."""
    path = tmp_path / "agent.sqlite"
    Journal(path, limit_bytes=MEGABYTE).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE turns")
    for _ in range(2):
        journal = Journal(path, limit_bytes=MEGABYTE)
        with journal.reading() as connection:
            assert connection.execute("SELECT count(*) FROM turns").fetchone() == (0,)
            assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        journal.close()


def test_the_file_of_an_agent_that_knew_no_preparations_is_used_on(tmp_path: Path) -> None:
    """Under the same schema number, so that the older agent could be put back."""
    path = tmp_path / "agent.sqlite"
    Journal(path, limit_bytes=MEGABYTE).close()
    with sqlite3.connect(path) as connection:
        before = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("ALTER TABLE runs DROP COLUMN preparation")
    connection.close()
    journal = Journal(path, limit_bytes=MEGABYTE)
    with journal.reading() as connection:
        assert connection.execute("SELECT preparation FROM runs").fetchall() == []
        assert connection.execute("PRAGMA user_version").fetchone() == before
