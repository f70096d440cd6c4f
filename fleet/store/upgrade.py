"""Brings a store's schema up to date."""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from fleet.errors import StoreError
from fleet.store.dialect import hold_schema
from fleet.store.schema import facts, metadata

if TYPE_CHECKING:
    from fleet.store.database import Database

#: Alembic keeps the running migration in globals of its own (1.20.1), for all threads.
_ONE_AT_A_TIME = threading.Lock()
#: Alembic's own word for the newest revision.
HEAD = "head"
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Run the migrations that a store lacks, in one transaction; give a new one its identity.

    Raises:
        StoreError: it was written by a later Edgewright.
        StoreUnavailableError: it cannot be written.
    """
    with database.writing() as connection:
        # Of several collectors that start at once, one upgrades and the others find it done.
        hold_schema(connection)
        try:
            migrate(connection, HEAD)
        except CommandError as error:
            message = (
                f"{database.url}: the store was written by a later Edgewright ({error}); "
                "upgrade Edgewright here"
            )
            raise StoreError(message) from error
        if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "store_id")) is None:
            connection.execute(sa.insert(facts).values(name="store_id", value=uuid.uuid4().hex))


def migrate(connection: sa.Connection, revision: str) -> None:
    """Run the migrations up to a revision, within the caller's transaction.

    Raises:
        CommandError: alembic does not know the revision, or that of the store.
    """
    config, script = _migrations()

    def upwards(present: Any, _context: Any) -> Any:  # noqa: ANN401 - alembic's own signature
        # alembic.command.upgrade does just this, but through an env.py that works on import.
        return script._upgrade_revs(revision, present)  # noqa: SLF001 - no public equivalent

    with _ONE_AT_A_TIME, EnvironmentContext(config, script, fn=upwards) as env:
        env.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        env.run_migrations()


def revision_of(connection: sa.Connection) -> str:
    """Revision of the schema that a store has.

    Raises:
        StoreError: it has none.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None:
        message = "the database has no schema of a fleet store"
        raise StoreError(message)
    return str(revision)


def known_revisions() -> list[str]:
    """Every revision that a store may have, oldest first."""
    _, script = _migrations()
    return [one.revision for one in script.walk_revisions()][::-1]


def _migrations() -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", os.fspath(_MIGRATIONS).replace("%", "%%"))
    return config, ScriptDirectory.from_config(config)
