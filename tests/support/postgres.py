"""The PostgreSQL of the benchmarks, for tests too."""

from __future__ import annotations

from benchmarks.lib.postgres import PostgresServer

__all__ = ["PostgresServer"]
