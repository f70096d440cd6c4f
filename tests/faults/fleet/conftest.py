"""Real stores and `serve` processes, and devices that speak the real contract."""

from support.fleet_fixtures import connect, database, start_serve, store_url

__all__ = ["connect", "database", "start_serve", "store_url"]
