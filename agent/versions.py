"""Versions of what is installed, read without importing any of it."""

from __future__ import annotations

from importlib import metadata


def agent_version() -> str:
    """Version of the installed `edgewright` distribution."""
    return metadata.version("edgewright")


def torch_version() -> str | None:
    """Version of the installed torch, or None where there is none."""
    try:
        return metadata.version("torch")
    except metadata.PackageNotFoundError:
        return None
