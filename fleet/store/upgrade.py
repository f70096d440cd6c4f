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
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from fleet.errors import StoreError
from fleet.store.dialect import hold_schema
from fleet.store.schema import facts, metadata

if TYPE_CHECKING:
    from fleet.store.database import Database

#: Alembic keeps the running migration in globals of its own (1.20.1), for all threads.
_ONE_AT_A_TIME = threading.Lock()
_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database) -> None:
    """Run the migrations that a store lacks, in one transaction; give a new one its identity.

    Raises:
        StoreError: it was written by a later Edgewright.
        StoreUnavailableError: it cannot be written.
    """
    config = Config()
    config.set_main_option("script_location", os.fspath(_MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)

    def to_head(revision: Any, _context: Any) -> Any:  # noqa: ANN401 - alembic's own signature
        # alembic.command.upgrade does just this, but through an env.py that works on import.
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - no public equivalent

    with (
        _ONE_AT_A_TIME,
        database.writing() as connection,
        EnvironmentContext(config, script, fn=to_head) as env,
    ):
        # Of several collectors that start at once, one upgrades and the others find it done.
        hold_schema(connection)
        env.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        try:
            env.run_migrations()
        except CommandError as error:
            message = (
                f"{database.url}: the store was written by a later Edgewright ({error}); "
                "upgrade Edgewright here"
            )
            raise StoreError(message) from error
        if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "store_id")) is None:
            connection.execute(sa.insert(facts).values(name="store_id", value=uuid.uuid4().hex))
