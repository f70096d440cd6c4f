"""The file of `deploy --hosts`: many boxes, each with what `deploy` takes as options."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from contract.errors import ContractError
from contract.files import read_handwritten
from fleet.choosing.mistake import Mistake, mistake_at, mistakes_text
from fleet.choosing.toml_places import TomlPath, TomlPlaces
from fleet.choosing.toml_text import nested_too_deep, read_toml
from fleet.deploy.credentials import given_password
from fleet.deploy.order import Order, check_target
from fleet.deploy.preparation import VALUE_CHECKS, check_values
from fleet.deploy.settings import rendered, setting_mistake, shown
from fleet.errors import FleetError, OrderError

EXAMPLE = """\
[defaults]                     # for every box that does not say otherwise
site = "plant-7"
bundles = "bundles"            # paths start from where this file lies
broker = "mqtts://fleet.example:8883"

[[hosts]]
host = "pi@press-03"           # USER@HOST, as ssh takes it; the only key that must be there
device = "press-03"
groups = ["cold-hall"]

[[hosts]]
host = "root@cnc-1"
device = "cnc-1"
user = true                    # each option of deploy by its name, with _ for -
set = { threads = [1, 4] }     # more keys of agent.toml
"""

#: Keys of one box alone.
_OWN = ("host", "device", "credentials")
_TEXTS = ("host", "site", "device", "prefix", "broker", "broker_here", "python", "torch_index")
_FOLDERS = ("bundles", "wheelhouse", "credentials")
_FILES = ("wheel", "constraints", "ssh_config")
_FLAGS = ("user", "system_site_packages", "new_password", "keep_failed")
_KEYS = (*_TEXTS, *_FOLDERS, *_FILES, *_FLAGS, "groups", "set", "timeout_s")
#: Keys whose field of an order has another name.
_FIELDS = {"host": "target", "user": "for_user", "system_site_packages": "system_packages"}

_CHECKS = {"host": check_target, **VALUE_CHECKS}
_TABLES = 'tables [[hosts]] with host = "USER@HOST"'
_Given = TypeVar("_Given")


def read_hosts(path: Path, given: Mapping[str, Any], defaults: Order) -> list[Order]:
    """Read the file; every mistake in it is told with its place.

    Args:
        path: a TOML file such as `EXAMPLE`.
        given: fields of an order from the command line, which hold for every box.
        defaults: what an order is where neither says anything.

    Raises:
        OrderError: it cannot be read, or there are mistakes in it.
    """
    try:
        text = read_handwritten(path)
    except OSError as error:
        message = f"{path}: {error.strerror}; expected TOML, see 'edgewright-fleet deploy --help'"
        raise OrderError(message) from error
    except UnicodeDecodeError as error:
        message = f"{path}: expected text in UTF-8, got another encoding; save it in UTF-8"
        raise OrderError(message) from error
    try:
        reading = _Reading(path, text)
        orders = reading.orders(given, defaults)
        mistakes = reading.mistakes
    except RecursionError:
        mistakes = [nested_too_deep(str(path))]
    if mistakes:
        found = sorted(mistakes, key=lambda one: (one.line, one.column))
        raise OrderError(mistakes_text(str(path), found))
    return orders


class _Reading:
    """One file on its way to orders; collects mistakes as it goes."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._places = TomlPlaces(text)
        self.mistakes: list[Mistake] = []

    def orders(self, given: Mapping[str, Any], defaults: Order) -> list[Order]:
        content, self.mistakes = read_toml(self._text, self._places, source=str(self._path))
        if content is None:
            return []
        for key in content:
            self._check_known((key,), key, ("defaults", "hosts"))
        common = content.get("defaults", {})
        if not isinstance(common, dict):
            self._wrong(("defaults",), "one table [defaults]", common, "use single brackets")
            common = {}
        hosts = self._hosts(content.get("hosts", []))
        shared = self._fields(("defaults",), common, [one for one in _KEYS if one not in _OWN])
        orders = []
        for number, table in enumerate(hosts):
            path: TomlPath = ("hosts", number)
            if not isinstance(table, dict):
                self._wrong(path, _TABLES, table)
                continue
            own = self._fields(path, table, _KEYS)
            if "host" not in table:
                self._add(path, "expected a host, got none", 'add host = "USER@HOST"')
            settings = _merged(*(one.get("settings") for one in (shared, own, given)))
            fields = {**shared, **own, **given, "settings": settings}
            if fields.get("prefix") is not None and not fields.get("for_user", False):
                self._add((*path, "prefix"), "prefix goes with user = true", "add it, or leave it")
            orders.append(msgspec.structs.replace(defaults, **{"target": "", **fields}))
        self._check_distinct(orders)
        if not self.mistakes:
            self._check_together(orders)
        return orders

    def _hosts(self, hosts: object) -> list[object]:
        if isinstance(hosts, dict):
            # Two of them are no repetition that has to go.
            self.mistakes = [one for one in self.mistakes if one.where != "hosts"]
            advice = "write [[hosts]] in double brackets above each box"
            self._add(("hosts",), "expected tables [[hosts]], got a table [hosts]", advice)
        elif not isinstance(hosts, list) or not hosts:
            self._wrong(("hosts",), _TABLES, hosts or "none")
        else:
            return hosts
        return []

    def _check_together(self, orders: Sequence[Order]) -> None:
        """See that what is right by itself is so together, whichever table it stands in."""
        for number, order in enumerate(orders):
            try:
                check_values(order)
            except (FleetError, ContractError) as error:
                self._add(("hosts", number), str(error), "mend it for this box")

    def _fields(
        self, path: TomlPath, table: dict[str, Any], known: Sequence[str]
    ) -> dict[str, Any]:
        """Fields of an order that a table sets."""
        fields: dict[str, Any] = {}
        settings: dict[str, Any] = {}
        for key, value in table.items():
            place = (*path, key)
            if not self._check_known(place, key, known):
                continue
            if key == "set":
                settings |= self._settings(place, value)
            elif key == "groups":
                settings |= self._groups(place, value)
                if isinstance(table.get("set"), dict) and "groups" in table["set"]:
                    self._add(place, "expected groups once, got them in set too", "keep one")
            else:
                fields[_FIELDS.get(key, key)] = self._value(place, key, value)
        if settings:
            fields["settings"] = tuple(f"{key}={rendered(one)}" for key, one in settings.items())
        return fields

    def _value(self, path: TomlPath, key: str, value: object) -> object:
        if key in _FLAGS:
            if not isinstance(value, bool):
                self._wrong(path, "true or false", value)
        elif key == "timeout_s":
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not 1 <= float(str(value)) < float("inf"):
                self._wrong(path, "seconds, 1 or more", value)
        elif not isinstance(value, str) or not value.strip():
            self._wrong(path, "text", value)
        elif key in _FOLDERS or key in _FILES:
            return self._place_here(path, key, value)
        elif key in _CHECKS:
            self._check(path, _CHECKS[key], value)
        return value

    def _place_here(self, path: TomlPath, key: str, value: str) -> Path:
        found = self._path.absolute().parent / Path(value).expanduser()
        kind = "folder" if key in _FOLDERS else "file"
        if not (found.is_dir() if key in _FOLDERS else found.is_file()):
            self._wrong(path, f"a {kind} that is there", value)
        elif key == "credentials":
            self._check(path, given_password, found)
        return found

    def _check(self, path: TomlPath, check: Callable[[_Given], object], value: _Given) -> None:
        try:
            check(value)
        except (FleetError, ContractError) as error:
            self._add(path, str(error), "mend it here")

    def _groups(self, path: TomlPath, value: object) -> dict[str, Any]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._wrong(path, 'a list of names such as ["cold-hall"]', value)
            return {}
        return {"groups": value}

    def _settings(self, path: TomlPath, value: object) -> dict[str, Any]:
        if not isinstance(value, dict):
            expected = "a table of keys of agent.toml such as { threads = [1, 4] }"
            self._wrong(path, expected, value)
            return {}
        for key, one in value.items():
            place = (*path, key)
            if wrong := setting_mistake(key, one):
                self._add(place, wrong.problem, wrong.advice)
        return {key: one for key, one in value.items() if setting_mistake(key, one) is None}

    def _check_known(self, path: TomlPath, key: str, known: Sequence[str]) -> bool:
        if key in known:
            return True
        near = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
        if near:
            advice = f"did you mean '{near[0]}'?"
        elif key in _OWN:
            advice = "it belongs to one box: write it below its [[hosts]]"
        else:
            advice = f"expected one of {', '.join(known)}"
        self._add(path, "unknown key", advice)
        return False

    def _check_distinct(self, orders: Sequence[Order]) -> None:
        targets: dict[str, int] = {}
        devices: dict[tuple[str | None, str], int] = {}
        for number, order in enumerate(orders):
            first = targets.setdefault(order.target, number)
            if first != number and order.target:
                self._twice(("hosts", number, "host"), order.target, ("hosts", first, "host"))
            if order.device is not None:
                name = (order.site, order.device)
                first = devices.setdefault(name, number)
                if first != number:
                    said = "/".join(one for one in name if one is not None)
                    self._twice(("hosts", number, "device"), said, ("hosts", first, "device"))

    def _twice(self, path: TomlPath, value: str, first: TomlPath) -> None:
        line = self._places.value(first).line
        problem = f"expected each box once, got '{value}' again"
        self._add(path, problem, f"it stands first in line {line}")

    def _wrong(
        self, path: TomlPath, expected: str, got: object, advice: str = "mend it here"
    ) -> None:
        self._add(path, f"expected {expected}, got {shown(got)}", advice)

    def _add(self, path: TomlPath, problem: str, advice: str) -> None:
        place = self._places.key(path)
        source = str(self._path)
        self.mistakes.append(mistake_at(source, place, path, problem=problem, advice=advice))


def _merged(*settings: tuple[str, ...] | None) -> tuple[str, ...]:
    """Assignments of agent.toml's keys; of those for one key the last counts."""
    merged: dict[str, str] = {}
    for one in settings:
        for text in one or ():
            merged[text.partition("=")[0].strip()] = text
    return tuple(merged.values())
