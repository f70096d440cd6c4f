"""The agent's `agent.toml`: what deploy knows, over what the operator wrote."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from contract.settings import KEYS, LOOPBACK, expected_instead, reach_problem
from fleet.errors import DeployError, OrderError

Value = str | int | float | bool | list["Value"]
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
#: Keys that deploy itself decides, each with the options that it decides them by.
_DECIDED = {
    "site": ("site",),
    "device": ("device",),
    "username": ("site", "device"),
    "broker": ("broker",),
    "bundles": ("bundles",),
    "state_dir": ("prefix",),
    "ca_file": (),
    "password_file": ("new_password", "credentials"),
}
_HEADER = "# Written by edgewright-fleet deploy; keys that are added here stay.\n"


def parse_settings(text: str) -> dict[str, Value]:
    """Keys and values of an `agent.toml`; it has no tables.

    Raises:
        DeployError: not TOML, or with a table.
    """
    try:
        content = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"agent.toml on the box: {error}; repair it, or remove it"
        raise DeployError(message) from error
    for key, value in content.items():
        if not isinstance(value, str | int | float | bool | list):
            message = f"agent.toml on the box: {key}: expected text, a number, or a list"
            raise DeployError(message)
    return content


def parse_assignment(text: str) -> tuple[str, Value]:
    """Key and value of `KEY=VALUE`; a value that is not TOML is text.

    Raises:
        OrderError: there is no key, or more than one value.
    """
    key, equals, value = text.partition("=")
    key = key.strip()
    if not equals or _KEY.fullmatch(key) is None:
        message = f"--set '{text}': expected KEY=VALUE, such as threads='[1, 4]'"
        raise OrderError(message)
    try:
        found = tomllib.loads(f"value = {value}")
    except (ValueError, RecursionError):
        return key, value.strip()
    parsed = found.pop("value")
    if found:
        message = (
            f"--set '{text}': expected one value, got {', '.join(found)} beside it; give each key "
            "a --set of its own"
        )
        raise OrderError(message)
    return (key, parsed) if isinstance(parsed, str | int | float | bool | list) else (key, value)


def parse_assignments(texts: Sequence[str]) -> dict[str, Value]:
    """Keys and values of several `KEY=VALUE`.

    Raises:
        OrderError: one has no key or more than one value, or a key comes again.
    """
    settings: dict[str, Value] = {}
    for text in texts:
        key, value = parse_assignment(text)
        if key in settings:
            message = f"--set {key}: expected each key once, got it again; keep one of them"
            raise OrderError(message)
        settings[key] = value
    return settings


class SettingMistake(msgspec.Struct, frozen=True):
    """What is wrong with a key of `agent.toml`, and what to do."""

    problem: str
    advice: str


def setting_mistake(
    key: str, value: object, *, named: Callable[[str], str] = str
) -> SettingMistake | None:
    """What is wrong with a key of `agent.toml`; None where nothing is.

    Args:
        key: the key.
        value: its value.
        named: what an option of deploy is called where the key stands.
    """
    if key in _DECIDED:
        options = " and ".join(map(named, _DECIDED[key]))
        advice = f"leave it out, see {options}" if options else "leave it out"
        return SettingMistake("deploy decides that itself", advice)
    if key not in KEYS:
        near = difflib.get_close_matches(key, KEYS, n=1)
        advice = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(KEYS)}"
        return SettingMistake("unknown key", advice)
    expected = expected_instead(key, value)
    if expected is None:
        return None
    problem = f"expected {expected}, got {shown(value)}"
    return SettingMistake(problem, "'edgewright-agent run --help' explains each key")


def reach_mistake(settings: Mapping[str, object]) -> SettingMistake | None:
    """What is wrong with `serve_host` beside the other keys; None where nothing is."""
    allow_remote = settings.get("serve_allow_remote") is True
    problem = reach_problem(str(settings.get("serve_host", LOOPBACK)), allow_remote=allow_remote)
    if problem is None:
        return None
    advice = (
        "take 127.0.0.1, or set serve_allow_remote as well where the network keeps strangers out"
    )
    return SettingMistake(problem, advice)


def merge_settings(before: str, changes: Mapping[str, Value | None]) -> str:
    """`before` with keys replaced or added, and those whose value is None removed.

    Comments and the order of lines stay, wherever each replaced key has a line of its own.

    Raises:
        DeployError: `before` is no `agent.toml`.
    """
    wanted: dict[str, Value | None] = {**parse_settings(before), **changes}
    expected = {key: value for key, value in wanted.items() if value is not None}
    edited = _edit_lines(before or _HEADER, changes)
    try:
        if tomllib.loads(edited) == expected:
            return edited
    except (ValueError, RecursionError):
        pass
    # A value over several lines, or a quoted key: write it anew, without the comments.
    return _HEADER + "".join(_line(key, value) for key, value in expected.items())


def _edit_lines(text: str, changes: Mapping[str, Value | None]) -> str:
    left = dict(changes)
    lines = []
    for line in text.splitlines(keepends=True):
        key = line.partition("=")[0].strip()
        if "=" not in line or key not in left:
            lines.append(line)
            continue
        value = left.pop(key)
        if value is not None:
            same = _is_same(line, key, value)
            lines.append(line if same else _line(key, value))
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    lines += [_line(key, value) for key, value in left.items() if value is not None]
    return "".join(lines)


def _is_same(line: str, key: str, value: Value) -> bool:
    try:
        return bool(tomllib.loads(line) == {key: value})
    except (ValueError, RecursionError):
        return False


def _line(key: str, value: Value) -> str:
    return f"{key} = {rendered(value)}\n"


def rendered(value: Value) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + "".join(_escaped(character) for character in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(rendered, value)) + "]"
    return repr(value)


def shown(value: object) -> str:
    """A value of a TOML text as a person wrote it, or what kind it is."""
    match value:
        case dict():
            return "a table"
        case list() if not all(isinstance(one, str | int | float) for one in value):
            return "a list with other things in it"
        case str() | int() | float() | list():
            return rendered(value)
        case _:
            return str(value)


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() else f"\\U{ord(character):08x}"
