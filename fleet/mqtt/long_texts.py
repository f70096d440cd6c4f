"""Shortens long texts of devices, so that what is stored of a message stays small."""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

#: Characters; the longest text of an agent of ours, the last words of a worker, has 300.
LONGEST_TEXT = 4000
#: Enough for what is said of the rest.
_KEPT = LONGEST_TEXT - 80
_DIGEST_DIGITS = 16

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def with_short_texts(message: _Struct) -> _Struct:
    """The same message with each text cut to `LONGEST_TEXT` characters.

    What is cut ends with its length and digest, so that texts which differ still do.
    """
    return msgspec.convert(_shortened(msgspec.to_builtins(message)), type(message))


def _shortened(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= LONGEST_TEXT else _cut(value)
    if isinstance(value, list):
        return [_shortened(one) for one in value]
    if isinstance(value, dict):
        return {key: _shortened(one) for key, one in value.items()}
    return value


def _cut(text: str) -> str:
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_DIGITS]
    return f"{text[:_KEPT]}… ({len(text)} characters, SHA-256 {digest})"
