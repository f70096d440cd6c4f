"""What commands put on stdout: one JSON document, or tables."""

from __future__ import annotations

import msgspec

from contract.bundleset import Member
from contract.manifest import Manifest
from edgewright.command_line import print_json, print_lines
from edgewright.console import Console

__all__ = ["manifest_document", "print_json", "print_lines", "table_console"]

_PIPE_WIDTH = 120


def table_console() -> Console:
    """Make a console that does not cut tables short in a pipe, whose width nobody knows."""
    return Console(pipe_columns=_PIPE_WIDTH)


def manifest_document(member: Member, manifest: Manifest) -> dict[str, object]:
    """Manifest and what the set vouches for, as one JSON object."""
    own = msgspec.to_builtins(member)
    return {**msgspec.to_builtins(manifest), **own}
