"""Chance that can be repeated."""

from __future__ import annotations

import random


def chance(*names: object) -> random.Random:
    """A generator of its own for whatever the names name; the same names give the same draws."""
    return random.Random("/".join(map(str, names)))  # noqa: S311 - simulates, guards no secret
