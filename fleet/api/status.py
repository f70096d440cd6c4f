"""Whether the API and its store work."""

from __future__ import annotations

import importlib.metadata

import msgspec


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """That the API answers, and its store; strangers may read it, so it says no more."""

    version: str


def version() -> str:
    """Version of the installed Edgewright."""
    return importlib.metadata.version("edgewright")
