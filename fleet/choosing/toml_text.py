"""A TOML text as values, with what is wrong with its syntax told at its place."""

from __future__ import annotations

import re
import tomllib

from fleet.choosing.mistake import Mistake, mistake_at
from fleet.choosing.toml_places import Place, TomlPlaces, without

#: What tomllib raises besides its own: integers of more than 4,300 digits, arrays in arrays.
_NO_TOML = (ValueError, RecursionError)
#: How tomllib ends its messages.
_TOMLLIB_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_toml(
    text: str, places: TomlPlaces, *, source: str
) -> tuple[dict[str, object] | None, list[Mistake]]:
    """The text's values without repeated keys, None where it is not TOML, and the mistakes."""
    try:
        return tomllib.loads(text), []
    except _NO_TOML as error:
        try:
            values = tomllib.loads(without(text, places.repetitions))
        except _NO_TOML:
            return None, [_not_toml(text, error, source)]
    problem = "expected each key once, got it again"
    return values, [
        mistake_at(
            source,
            one.place,
            one.path,
            problem=problem,
            advice=f"it stands first in line {one.first.line}; keep one of them",
        )
        for one in places.repetitions
    ]


def nested_too_deep(source: str) -> Mistake:
    """Mistake of a text that no reader of TOML comes to the end of."""
    problem = "expected TOML with tables and lists a few levels deep, got hundreds of levels"
    return mistake_at(source, Place(1, 1), (), problem=problem, advice="take the brackets out")


def _not_toml(text: str, error: Exception, source: str) -> Mistake:
    # Beyond its own errors, tomllib passes on what Python says of itself.
    is_told = isinstance(error, tomllib.TOMLDecodeError)
    said = str(error) if is_told else "An integer of thousands of digits, or arrays without end"
    match = _TOMLLIB_PLACE.search(said)
    lines = text.split("\n")
    place = Place(len(lines), len(lines[-1]) + 1)
    if match is not None:
        said = said[: match.start()]
        if match[1]:
            place = Place(int(match[1]), int(match[2]))
    problem = f"expected TOML, got something else ({said[:1].lower()}{said[1:]})"
    advice = "mend the syntax here or just before; other mistakes are looked for afterwards"
    return mistake_at(source, place, (), problem=problem, advice=advice)
