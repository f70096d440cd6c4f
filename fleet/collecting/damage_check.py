"""Looks for damage in the store when something fails in a way that it cannot fail."""

from __future__ import annotations

import time

from fleet.errors import StoreDamagedError, StoreError
from fleet.store.damage import damage_in
from fleet.store.database import Database

#: The whole file is read, some seconds a gigabyte: not for each message of a device that makes
#: our own code fail.
_EVERY_S = 600.0


class DamageCheck:
    """Tells failures of a damaged store from faults of our own.

    An index that names a row which its table has lost is no error to SQLite; our code then misses
    what it has just stored.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at_s = float("-inf")

    def look_because_of(self, error: Exception) -> None:
        """Look through a store that is a file, unless that was done lately.

        Raises:
            StoreDamagedError: it is damaged; `error` is its cause.
        """
        if isinstance(error, StoreError):
            # It says itself what the store has.
            return
        path, now_s = self._database.path, time.monotonic()
        if path is None or now_s - self._looked_at_s < _EVERY_S:
            return
        self._looked_at_s = now_s
        damage = damage_in(path)
        if damage is not None:
            message = f"{self._database.url}: {damage}"
            raise StoreDamagedError(message) from error
