"""The keys of an agent's `agent.toml`: who writes the file checks them, and the agent reads it."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec

from contract.group import group_fault
from contract.manifest import Positive

LOOPBACK = "127.0.0.1"
#: How each variant is measured where nobody says so.
DEFAULT_ROUNDS, DEFAULT_MIN_RUNS = 2, 10
DEFAULT_MIN_SECONDS, DEFAULT_EVALSET_SECONDS = 0.75, 5.0
DEFAULT_MAX_MINUTES = 10.0

LogLevel = Literal["debug", "info", "warning", "error"]

#: Of MB, seconds, minutes or hours; neither infinity nor what overflows as bytes.
_MOST = 1e9
_Some = Annotated[float, msgspec.Meta(gt=0.0, le=_MOST)]
_SomeOrNone = Annotated[float, msgspec.Meta(ge=0.0, le=_MOST)]


class Mode(enum.StrEnum):
    """What a measurement is to tell."""

    #: What a variant takes on this box as it is now; about five seconds each.
    QUICK = "quick"
    #: What it takes once the box is as warm as it gets; minutes each.
    SUSTAINED = "sustained"


class AgentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `agent.toml` may say; `agent.config.EXAMPLE` explains each key."""

    site: str
    device: str
    broker: str
    bundles: str
    state_dir: str
    threads: Annotated[list[Positive], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [1],
    )
    variants: list[str] = []
    memory_limit_mb: _Some | None = None
    timeout_s: _Some = 120.0
    mode: Mode = Mode.QUICK
    rounds: Positive = DEFAULT_ROUNDS
    min_seconds: _SomeOrNone = DEFAULT_MIN_SECONDS
    min_runs: Positive = DEFAULT_MIN_RUNS
    max_minutes: _Some = DEFAULT_MAX_MINUTES
    evalset_seconds: _SomeOrNone = DEFAULT_EVALSET_SECONDS
    rebench_hours: _Some | None = None
    groups: list[str] = []
    emulates: str | None = None
    outbox_limit_mb: _Some = 64.0
    serve_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    serve_host: str = LOOPBACK
    serve_allow_remote: bool = False
    serve_fast_decode: bool = False
    log_level: LogLevel = "info"
    log_file: str | None = None
    ca_file: str | None = None
    password_file: str | None = None
    username: str | None = None

    def __post_init__(self) -> None:
        """Check what types do not tell."""
        _check_groups(self.groups)


#: Every key, with the type of its value.
KEYS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(AgentSettings)}


def check_setting(key: str, value: object) -> None:
    """Check one key's value.

    Raises:
        KeyError: there is no such key.
        msgspec.ValidationError: the value is of another type, or out of its range.
    """
    checked = msgspec.convert(value, KEYS[key])
    if key == "groups":
        try:
            _check_groups(checked)
        except ValueError as error:
            raise msgspec.ValidationError(str(error)) from error


def _check_groups(names: Iterable[str]) -> None:
    """Raise ValueError, which msgspec makes a ValidationError, where one is not valid."""
    for name in names:
        if (fault := group_fault(name)) is not None:
            raise ValueError(fault)
