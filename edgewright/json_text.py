"""Writes JSON that may be looked at: what a terminal acts on or hides is escaped, as JSON can."""

from __future__ import annotations

import json
import re

import msgspec

from edgewright.terminal import is_shown

#: JSON itself escapes what is below, and DEL is the only ASCII character that it forgets.
_FORGOTTEN = re.compile("[\x7f-\U0010ffff]")


def json_text(document: object, *, indent: int | None = None) -> bytes:
    """Encode `document`, Structs included, as JSON in UTF-8.

    Args:
        document: what msgspec can encode; lone surrogates, as in the names of odd files, too.
        indent: spaces of each level; without it, everything is one line.
    """
    try:
        encoded = msgspec.json.encode(document)
    except UnicodeEncodeError:
        encoded = json.dumps(msgspec.to_builtins(document), separators=(",", ":")).encode()
    if indent is not None:
        encoded = msgspec.json.format(encoded, indent=indent)
    return escaped_json(encoded)


def escaped_json(encoded: bytes) -> bytes:
    r"""JSON of the same value that shows nothing but what it is (`\u202e`)."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    return _FORGOTTEN.sub(_escape, encoded.decode()).encode()


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return (
        character if is_shown(character) else json.dumps(character)[1:-1].replace("\x7f", r"\u007f")
    )
