"""Who may look into a store's files."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.store.backup import back_up
from fleet.store.database import open_database
from fleet.store.lock import sole_user
from fleet.store.restore import restore
from fleet.store.schema import facts
from support.collectors import ServeProcess
from support.modes import modes_in

STORE = ("fleet.db", "fleet.db-shm", "fleet.db-wal")


def write_one(path: Path) -> dict[str, int]:
    """Modes of a store's files while it is written."""
    with contextlib.closing(open_database(f"sqlite:///{path}", create=True)) as database:
        with database.writing() as connection:
            connection.execute(sa.update(facts).values(value=facts.c.value))
        return modes_in(path.parent)


@pytest.mark.usefixtures("wide_umask")
def test_a_new_store_is_its_owners_alone_and_one_that_is_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    path = tmp_path / "fleet.db"
    assert write_one(path) == dict.fromkeys(STORE, 0o600)
    path.chmod(0o660)
    assert write_one(path) == dict.fromkeys(STORE, 0o660)


@pytest.mark.usefixtures("wide_umask")
def test_the_lock_of_a_store_is_its_owners_alone_for_who_may_read_it_may_hold_it(
    tmp_path: Path,
) -> None:
    with sole_user("it", tmp_path / "fleet.db"):
        assert modes_in(tmp_path) == {"fleet.db.lock": 0o600}


@pytest.mark.usefixtures("wide_umask")
def test_a_restored_store_has_the_mode_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    path, backup = tmp_path / "fleet.db", tmp_path / "fleet.zip"
    url = f"sqlite:///{path}"
    with contextlib.closing(open_database(url, create=True)) as database:
        back_up(database, backup, now=1.0, overwrite=False, on_progress=lambda *_: None)
    path.chmod(0o640)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    for there, replace in ((url, True), (other, False)):
        restore(backup, there, now=1.0, replace=replace, on_progress=lambda *_: None)
    modes = modes_in(tmp_path)
    assert (modes["fleet.db"], modes["other.db"], modes["fleet.zip"]) == (0o640, 0o600, 0o600)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_serve_names_once_a_store_that_others_may_read(
    start_serve: Callable[..., ServeProcess], tmp_path: Path
) -> None:
    path = tmp_path / "fleet.db"
    for mode, told in ((0o600, 0), (0o644, 1)):
        open_database(f"sqlite:///{path}", create=True).close()
        path.chmod(mode)
        serve = start_serve()
        assert serve.stop() == 0
        assert serve.log.read_text().count("store open to other users") == told
        assert modes_in(tmp_path)["fleet.db"] == mode
