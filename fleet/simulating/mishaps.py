"""Messages that follow no contract, made from good ones."""

from __future__ import annotations

import random


def spoil(payload: bytes, draw: random.Random) -> bytes:
    """Bytes that no fleet can store: cut off, of another device, or no JSON at all."""
    kind = draw.randrange(3)
    if kind == 0:
        return payload[: draw.randrange(1, len(payload) - 1)]
    if kind == 1:
        return payload.replace(b'"device":"', b'"device":"not-', 1)
    return bytes(draw.getrandbits(8) for _ in range(draw.randrange(1, 64)))
