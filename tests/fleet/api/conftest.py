"""A server of the API on each test's store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from fleet.store.database import Database
from support.api import ApiServer


@pytest.fixture
def api(database: Database) -> Iterator[ApiServer]:
    """The API on loopback, open to read."""
    with contextlib.closing(ApiServer(database)) as server:
        yield server
