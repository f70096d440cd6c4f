"""Flat columns of nested documents, for forms that know rows alone."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence

import msgspec
from msgspec import inspect

Cell = str | int | float | bool | None


class Kind(enum.Enum):
    """What a column holds, where it holds anything."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    FLAG = "flag"


class Column(msgspec.Struct, frozen=True):
    """One column; its name is the names on the way to its value, such as `golden.ok`."""

    name: str
    kind: Kind
    path: tuple[str, ...]

    def cell(self, document: object) -> Cell:
        """The value in a document; a list becomes its items, joined by `; `."""
        value: object = document
        for name in self.path:
            if value is None:
                return None
            value = getattr(value, name)
        if isinstance(value, enum.Enum):
            return str(value.value)
        if isinstance(value, list | tuple):
            return "; ".join(str(one.value if isinstance(one, enum.Enum) else one) for one in value)
        return value if isinstance(value, str | int | float | bool | None) else str(value)


def columns_of(kind: type[msgspec.Struct], *, leave_out: Sequence[str] = ()) -> list[Column]:
    """Columns of a type, in the order of its fields, those of fields of fields in their place.

    Lists of what has no words of its own are left out, and `leave_out`.
    """
    found = inspect.type_info(kind)
    if not isinstance(found, inspect.StructType):
        message = f"expected a Struct, got {kind}"
        raise TypeError(message)
    return [one for one in _columns(found, ()) if one.name not in leave_out]


def _columns(kind: inspect.StructType, above: tuple[str, ...]) -> Iterator[Column]:
    for field in kind.fields:
        path = (*above, field.name)
        present = _present(field.type)
        if isinstance(present, inspect.StructType):
            yield from _columns(present, path)
            continue
        found = _kind(present)
        if found is not None:
            yield Column(".".join(path), found, path)


def _present(kind: inspect.Type) -> inspect.Type:
    """The type of a value that is there: without None, and without what is said of it."""
    if isinstance(kind, inspect.Metadata):
        return _present(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _present(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
    return kind


def _kind(kind: inspect.Type) -> Kind | None:
    match kind:
        case inspect.BoolType():
            return Kind.FLAG
        case inspect.IntType():
            return Kind.INTEGER
        case inspect.FloatType():
            return Kind.NUMBER
        case inspect.ListType() | inspect.VarTupleType():
            return Kind.TEXT if _has_words(_present(kind.item_type)) else None
        case inspect.DictType():
            return None
        case _:
            return Kind.TEXT


def _has_words(kind: inspect.Type) -> bool:
    return not isinstance(kind, inspect.StructType) or kind.cls.__str__ is not object.__str__
