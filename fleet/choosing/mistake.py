"""One thing that is wrong in a policy file, and where."""

from __future__ import annotations

import msgspec

from fleet.choosing.toml_places import Place, TomlPath


class Mistake(msgspec.Struct, frozen=True, kw_only=True):
    """What stands at a place instead of what is expected there, and what to do."""

    source: str
    line: int
    column: int
    #: Place in the document, such as `groups.small.constraints[0]`; empty: all of it.
    where: str
    problem: str
    advice: str

    def __str__(self) -> str:
        """One line, which editors can jump to."""
        where = f"{self.where}: " if self.where else ""
        return f"{self.source}:{self.line}:{self.column}: {where}{self.problem}; {self.advice}"


def mistake_at(source: str, place: Place, path: TomlPath, *, problem: str, advice: str) -> Mistake:
    """Mistake at a place; an empty `path` is the whole document."""
    return Mistake(
        source=source,
        line=place.line,
        column=place.column,
        where=dotted(path),
        problem=problem,
        advice=advice,
    )


def mistakes_text(source: str, mistakes: list[Mistake]) -> str:
    """All of a file's mistakes: the only one in one line, several with a line each."""
    if len(mistakes) == 1:
        return str(mistakes[0])
    return "\n".join([f"{source}: {len(mistakes)} mistakes", *map(str, mistakes)])


def dotted(path: TomlPath) -> str:
    """Path the way TOML writes it: `devices."lab/box".constraints[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.replace("_", "").replace("-", "")
            plain = part if bare.isascii() and bare.isalnum() else f'"{part}"'
            text += f".{plain}" if text else plain
    return text
