"""Where everything stands in a TOML text: the Python readers of TOML keep no places."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Sequence

import msgspec
import tree_sitter
import tree_sitter_toml

#: Keys from the document's root down; numbers count the items of arrays.
TomlPath = tuple[str | int, ...]

_KEYS = frozenset({"bare_key", "quoted_key", "dotted_key"})


class Place(msgspec.Struct, frozen=True, order=True):
    """A line and a column, both from 1; columns count characters."""

    line: int
    column: int


class Repetition(msgspec.Struct, frozen=True):
    """A key or table that was there before; `start` and `end` are its bytes in the text."""

    path: TomlPath
    place: Place
    first: Place
    start: int
    end: int


class TomlPlaces:
    """The places of keys and values of one text, which need not be valid."""

    def __init__(self, text: str) -> None:
        content = text.encode(errors="replace")
        self._lines = content.split(b"\n")
        self._keys: dict[TomlPath, Place] = {}
        self._values: dict[TomlPath, Place] = {}
        self._verbatim: set[TomlPath] = set()
        self._counts: dict[TomlPath, int] = {}
        #: Keys and tables that stand more than once, in their order.
        self.repetitions: list[Repetition] = []
        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))
        self._table(parser.parse(content).root_node, ())

    def key(self, path: TomlPath) -> Place:
        """Where the key stands that leads to `path`, or the nearest that is known above it."""
        return self._nearest(path, self._keys)

    def value(self, path: TomlPath, offset: int | None = None) -> Place:
        """Where the value at `path` stands; `offset` counts characters into a string.

        It is counted only in strings that stand in the text as they are: on one line, without
        escapes. For others it is their beginning.
        """
        place = self._nearest(path, self._values)
        if offset is not None and path in self._verbatim:
            return Place(place.line, place.column + len('"') + offset)
        return place

    def _nearest(self, path: TomlPath, places: dict[TomlPath, Place]) -> Place:
        for length in range(len(path), 0, -1):
            found = places.get(path[:length]) or self._keys.get(path[:length])
            if found is not None:
                return found
        return Place(1, 1)

    def _place(self, node: tree_sitter.Node) -> Place:
        row, byte = node.start_point
        return Place(row + 1, len(self._lines[row][:byte].decode(errors="replace")) + 1)

    def _table(self, node: tree_sitter.Node, above: TomlPath) -> None:
        for child in node.named_children:
            if child.type == "pair":
                self._pair(child, above)
            elif child.type in {"table", "table_array_element"}:
                self._header(child)

    def _header(self, node: tree_sitter.Node) -> None:
        path = self._key_path(node, ())
        if node.type == "table_array_element":
            number = self._counts[path] = self._counts.get(path, -1) + 1
            path = (*path, number)
            self._keys.setdefault(path, self._place(node))
        elif path in self._values:
            self._repeat(path, node)
            return
        self._values[path] = self._place(node)
        self._table(node, path)

    def _pair(self, node: tree_sitter.Node, above: TomlPath) -> None:
        path = self._key_path(node, above)
        if path in self._values:
            self._repeat(path, node)
            return
        value = next((one for one in _content(node) if one.type not in _KEYS), None)
        if value is not None:
            self._value(value, path)

    def _value(self, node: tree_sitter.Node, path: TomlPath) -> None:
        self._values[path] = self._place(node)
        if node.type == "inline_table":
            self._table(node, path)
        elif node.type == "array":
            for number, item in enumerate(_content(node)):
                self._value(item, (*path, number))
        elif node.type == "string":
            written = node.text or b""
            if not written.startswith((b'"""', b"'''")) and b"\\" not in written:
                self._verbatim.add(path)

    def _repeat(self, path: TomlPath, node: tree_sitter.Node) -> None:
        key = next(one for one in node.named_children if one.type in _KEYS)
        place, first = self._place(key), self._keys.get(path) or self._values[path]
        self.repetitions.append(Repetition(path, place, first, node.start_byte, node.end_byte))

    def _key_path(self, node: tree_sitter.Node, above: TomlPath) -> TomlPath:
        """Path that the key of a pair or header leads to; notes where each part stands."""
        path = above
        for leaf in _leaves(node):
            path = (*path, _plain(leaf))
            self._keys.setdefault(path, self._place(leaf))
        return path


def without(text: str, repetitions: Sequence[Repetition]) -> str:
    """`text` with the repetitions blanked; everything else stays at its place."""
    content = bytearray(text.encode(errors="replace"))
    for one in repetitions:
        content[one.start : one.end] = bytes(
            byte if byte in b"\r\n" else ord(" ") for byte in content[one.start : one.end]
        )
    return content.decode()


def _content(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    return (one for one in node.named_children if one.type != "comment")


def _leaves(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """The single keys of a pair's, a header's or a dotted key, from left to right."""
    for child in node.named_children:
        if child.type == "dotted_key":
            yield from _leaves(child)
        elif child.type in _KEYS:
            yield child


def _plain(key: tree_sitter.Node) -> str:
    written = (key.text or b"").decode()
    if key.type == "bare_key":
        return written
    try:
        return next(iter(tomllib.loads(f"{written} = 0")))
    except tomllib.TOMLDecodeError:
        # A broken quotation is named by whoever reads the text's values.
        return written
