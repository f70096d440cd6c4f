"""Builds of variants by number: what results repeat stands here once."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping

import msgspec
import sqlalchemy as sa

from fleet.choosing.build import Build
from fleet.store.dialect import insert_unless_there, is_among
from fleet.store.schema import builds

#: Builds that are not looked up again. A fleet has some hundreds, of 600 bytes each; a device that
#: makes up others must not fill the memory with them.
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 10_000, 2_000
_BUILD = msgspec.json.Decoder(Build)


class Catalogue:
    """Numbers of builds, as far as this process has met them; a number never changes."""

    def __init__(self) -> None:
        self._numbers: dict[Build, int] = {}

    def meet(self, connection: sa.Connection, wanted: Collection[Build]) -> dict[Build, int]:
        """Numbers of builds; those that the store does not know are made known.

        `remember` them once that is durable.
        """
        found = {build: self._numbers[build] for build in wanted if build in self._numbers}
        missing = {_digest(build): build for build in wanted if build not in found}
        if missing:
            # In one order, so that no two collectors wait for each other.
            insert_unless_there(
                connection,
                builds,
                [
                    {"digest": digest, "build": _text(build)}
                    for digest, build in sorted(missing.items())
                ],
            )
            rows = connection.execute(
                sa.select(builds.c.digest, builds.c.id).where(builds.c.digest.in_(missing))
            ).all()
            found |= {missing[digest]: number for digest, number in rows}
        return found

    def remember(self, numbers: Mapping[Build, int]) -> None:
        """Look these up no more: the transaction that met them is durable."""
        if len(self._numbers) + len(numbers) > _MOST_REMEMBERED:
            self._numbers.clear()
        self._numbers.update(
            (build, number)
            for build, number in numbers.items()
            if build not in self._numbers and len(_text(build)) <= _LONGEST_REMEMBERED
        )

    def forget(self) -> None:
        """Look everything up again: what was looked up does not fit the store any more."""
        self._numbers.clear()


def builds_of(connection: sa.Connection, numbers: Iterable[int]) -> dict[int, Build]:
    """Builds by their numbers."""
    rows = connection.execute(
        sa.select(builds.c.id, builds.c.build).where(is_among(connection, builds.c.id, numbers))
    ).all()
    return {number: _BUILD.decode(text) for number, text in rows}


def _text(build: Build) -> str:
    return msgspec.json.encode(build).decode()


def _digest(build: Build) -> str:
    return hashlib.sha256(_text(build).encode()).hexdigest()
