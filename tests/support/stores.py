"""Tests that hold for every kind of store."""

from __future__ import annotations

import pytest

#: `pytestmark = ON_BOTH` runs a module's tests on SQLite and on PostgreSQL.
ON_BOTH = pytest.mark.parametrize("store_url", ["sqlite", "postgresql"], indirect=True)

#: Runs a module's tests on PostgreSQL alone.
ON_POSTGRESQL = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
