"""A policy's TOML, read and checked as a whole: every mistake at its place."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from contract.group import group_fault
from contract.topics import ID_PATTERN
from fleet.choosing.demand import Demand, Evidential
from fleet.choosing.metric import Metric
from fleet.choosing.mistake import Mistake, dotted, mistake_at
from fleet.choosing.override import Override
from fleet.choosing.terms import Constraint, Objective, parse_constraint, parse_objective
from fleet.choosing.toml_places import Place, TomlPath, TomlPlaces
from fleet.choosing.toml_text import nested_too_deep, read_toml
from fleet.errors import MalformedTermError

_Term = TypeVar("_Term", Constraint, Objective)

_TERMS = ("constraints", "objectives", "evidence")
_KINDS = {"sites": "site", "groups": "group", "devices": "device"}
_ID = re.compile(ID_PATTERN)


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A site, group or device (`site/device`) that a policy has terms for, and where."""

    kind: str
    name: str
    path: TomlPath
    place: Place


class PolicyDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy's text says; worth something only where `mistakes` is empty."""

    mistakes: list[Mistake]
    name: str = ""
    base: Override = Override()
    sites: dict[str, Override] = {}
    groups: dict[str, Override] = {}
    devices: dict[str, Override] = {}
    named: list[Named] = []


def read_document(text: str, *, source: str) -> PolicyDocument:
    """Read a policy's TOML and find all of its mistakes; `source` names it in them."""
    try:
        return _Reading(text, source).document()
    except RecursionError:
        return PolicyDocument(mistakes=[nested_too_deep(source)])


class _Reading:
    """One text on its way to a document; collects mistakes as it goes."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self._source = source
        self._places = TomlPlaces(text)
        self._mistakes: list[Mistake] = []
        self._named: list[Named] = []

    def document(self) -> PolicyDocument:
        values, self._mistakes = read_toml(self._text, self._places, source=self._source)
        if values is None:
            return PolicyDocument(mistakes=self._in_order())
        self._check_fields((), values, ("name", *_TERMS, *_KINDS))
        name = values.get("name")
        if not isinstance(name, str) or not name.strip():
            self._wrong(("name",), values, "a name in quotes", 'write it such as name = "ours"')
        base = self._override((), values, "policy")
        if not values.get("objectives"):
            expected, advice = "at least one objective", 'add objectives = ["max top1"]'
            self._wrong(("objectives",), values, expected, advice)
        sites, groups, devices = (self._overrides(field, values) for field in _KINDS)
        return PolicyDocument(
            mistakes=self._in_order(),
            name=str(name),
            base=base,
            sites=sites,
            groups=groups,
            devices=devices,
            named=self._named,
        )

    def _in_order(self) -> list[Mistake]:
        return sorted(self._mistakes, key=lambda one: (one.line, one.column))

    def _overrides(self, field: str, values: dict[str, object]) -> dict[str, Override]:
        found = {}
        kind = _KINDS[field]
        tables = self._table((field,), values.get(field, {}), f"tables such as {_heading(kind)}")
        for name, value in tables.items():
            path = (field, name)
            self._check_name(kind, path, name)
            self._named.append(Named(kind=kind, name=name, path=path, place=self._places.key(path)))
            table = self._table(path, value, f"a table such as {_heading(kind)}")
            self._check_fields(path, table, _TERMS)
            found[name] = self._override(path, table, f"{kind} {name}")
        return found

    def _override(self, path: TomlPath, table: dict[str, object], origin: str) -> Override:
        evidence = (*path, "evidence")
        return Override(
            constraints=self._terms(
                (*path, "constraints"),
                table.get("constraints", []),
                lambda text: parse_constraint(text, origin=origin),
            ),
            objectives=self._terms(
                (*path, "objectives"), table.get("objectives", []), parse_objective
            ),
            demands=self._demands(
                evidence,
                self._table(evidence, table.get("evidence", {}), "a table"),
                origin,
            ),
        )

    def _terms(
        self, path: TomlPath, value: object, parse: Callable[[str], _Term]
    ) -> tuple[_Term, ...]:
        if not isinstance(value, list):
            advice = "put the terms into brackets, each in quotes"
            self._add(self._places.value(path), path, _instead("a list of terms", value), advice)
            return ()
        found: dict[Metric, tuple[_Term, int]] = {}
        for number, text in enumerate(value):
            here = (*path, number)
            if not isinstance(text, str):
                advice = "put the term into quotes"
                self._add(self._places.value(here), here, _instead("a term", text), advice)
                continue
            try:
                term = parse(text)
            except MalformedTermError as error:
                place = self._places.value(here, error.offset)
                self._add(place, here, _instead(error.expected, text), error.advice)
                continue
            if term.metric in found:
                first = dotted((*path, found[term.metric][1]))
                problem = f"expected each metric once, got {term.metric.value} again"
                advice = f"{first} has it already; keep one of them"
                self._add(self._places.value(here), here, problem, advice)
                continue
            found[term.metric] = (term, number)
        return tuple(term for term, _ in found.values())

    def _demands(self, path: TomlPath, table: dict[str, object], origin: str) -> tuple[Demand, ...]:
        self._check_fields(path, table, tuple(Evidential))
        found = []
        for name, value in table.items():
            if name not in set(Evidential):
                continue
            kind, here = Evidential(name), (*path, name)
            limit = _limit(kind, value)
            if limit is None:
                expected = "a whole number from 0" if kind.is_count else "a number above 0"
                nothing = "0" if kind.is_count else "inf"
                advice = f"write it without quotes; {nothing} asks for nothing"
                self._add(self._places.value(here), here, _instead(expected, value), advice)
                continue
            found.append(Demand(kind=kind, limit=limit, origin=origin))
        return tuple(found)

    def _table(self, path: TomlPath, value: object, expected: str) -> dict[str, object]:
        if isinstance(value, dict):
            return value
        advice = "give it a heading in single brackets"
        self._add(self._places.value(path), path, _instead(expected, value), advice)
        return {}

    def _check_fields(self, path: TomlPath, table: dict[str, object], known: Sequence[str]) -> None:
        for name in table:
            if name in known:
                continue
            here = (*path, name)
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean '{near[0]}'?" if near else "take it out"
            problem = f"expected one of {', '.join(known)}, got '{name}'"
            self._add(self._places.key(here), here, problem, advice)

    def _check_name(self, kind: str, path: TomlPath, name: str) -> None:
        if kind == "group":
            if (fault := group_fault(name)) is not None:
                self._add(self._places.key(path), path, fault, f"write it such as {_heading(kind)}")
            return
        parts = name.split("/")
        wanted = 2 if kind == "device" else 1
        if len(parts) == wanted and all(_ID.fullmatch(part) for part in parts):
            return
        shape = "SITE/DEVICE, each" if kind == "device" else f"a {kind}'s name"
        problem = f"expected {shape} of 1 to 64 characters a-z, 0-9, _ and -, got '{name}'"
        advice = f"write it such as {_heading(kind)}"
        self._add(self._places.key(path), path, problem, advice)

    def _wrong(self, path: TomlPath, values: dict[str, object], expected: str, advice: str) -> None:
        """A required field that is missing, empty or of another type."""
        name = path[-1]
        got = _got(values[name]) if name in values else "nothing"
        self._add(self._places.value(path), path, f"expected {expected}, got {got}", advice)

    def _add(self, place: Place, path: TomlPath, problem: str, advice: str) -> None:
        self._mistakes.append(mistake_at(self._source, place, path, problem=problem, advice=advice))


def _limit(kind: Evidential, value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int if kind.is_count else int | float):
        return None
    try:
        limit = float(value)
    except OverflowError:
        return None
    is_right = limit >= 0 if kind.is_count else limit > 0
    return limit if is_right and not math.isnan(limit) else None


def _heading(kind: str) -> str:
    return {"site": "[sites.plant-7]", "group": "[groups.pi4]"}.get(
        kind, '[devices."plant-7/press-03"]'
    )


def _instead(expected: str, value: object) -> str:
    return f"expected {expected}, got {_got(value)}"


def _got(value: object) -> str:
    match value:
        case str():
            return f"'{value}'"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"{value}"
        case list():
            return "a list" if value else "an empty list"
        case dict():
            return "a table"
        case _:
            return f"the time {value}"
