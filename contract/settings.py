"""The keys of an agent's `agent.toml`: who writes the file checks them, and the agent reads it."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import msgspec

from contract.address import is_loopback
from contract.group import GROUP_RULE, group_fault
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
#: Less than one is rounded to no bytes at all, or as good as that.
_Megabytes = Annotated[float, msgspec.Meta(ge=1.0, le=_MOST)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


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
    bundles: _Text
    state_dir: _Text
    threads: Annotated[list[Positive], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [1],
    )
    variants: list[str] = []
    memory_limit_mb: _Megabytes | None = None
    timeout_s: _Some = 120.0
    mode: Mode = Mode.QUICK
    rounds: Positive = DEFAULT_ROUNDS
    min_seconds: _SomeOrNone = DEFAULT_MIN_SECONDS
    min_runs: Positive = DEFAULT_MIN_RUNS
    max_minutes: _Some = DEFAULT_MAX_MINUTES
    evalset_seconds: _SomeOrNone = DEFAULT_EVALSET_SECONDS
    rebench_hours: _Some | None = None
    groups: list[str] = []
    emulates: _Text | None = None
    outbox_limit_mb: _Megabytes = 64.0
    serve_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    serve_host: _Text = LOOPBACK
    serve_allow_remote: bool = False
    serve_fast_decode: bool = False
    log_level: LogLevel = "info"
    log_file: _Text | None = None
    ca_file: _Text | None = None
    password_file: _Text | None = None
    username: _Text | None = None

    def __post_init__(self) -> None:
        """Check what types do not tell."""
        for name in self.groups:
            # What msgspec makes a ValidationError.
            if (fault := group_fault(name)) is not None:
                raise ValueError(fault)


#: Every key, with the type of its value.
KEYS: dict[str, Any] = {field.name: field.type for field in msgspec.structs.fields(AgentSettings)}


#: Beyond this a bound is one of the computer's, and of no use to a person.
_TOLD_AT_MOST = 2**53


def is_text(key: str) -> bool:
    """Whether a key's value is text, which the environment has without quotes."""
    kind = msgspec.inspect.type_info(KEYS[key])
    kinds = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    texts = (msgspec.inspect.StrType, msgspec.inspect.EnumType, msgspec.inspect.LiteralType)
    return any(isinstance(one, texts) for one in kinds)


def expected_instead(key: str, value: object) -> str | None:
    """What was expected as a key's value, in words; None where this one is right.

    Raises:
        KeyError: there is no such key.
    """
    try:
        checked = msgspec.convert(value, KEYS[key])
    except msgspec.ValidationError:
        return _in_words(msgspec.inspect.type_info(KEYS[key]))
    if key == "groups" and any(group_fault(one) for one in checked):
        return f"names of groups, each of {GROUP_RULE}"
    return None


def reach_problem(host: str, *, allow_remote: bool) -> str | None:
    """Why the agent does not listen on `host`; None where it does."""
    if allow_remote or is_loopback(host):
        return None
    return (
        f"host '{host}' can be reached from other machines, and there is no authentication: "
        "whoever reaches it may ask"
    )


def _in_words(kind: msgspec.inspect.Type) -> str:
    match kind:
        case msgspec.inspect.UnionType():
            some = [one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)]
            words = " or ".join(map(_in_words, some))
        case msgspec.inspect.BoolType():
            words = "true or false"
        case msgspec.inspect.IntType():
            words = f"a whole number{_bounds(kind)}"
        case msgspec.inspect.FloatType():
            words = f"a number{_bounds(kind)}"
        case msgspec.inspect.EnumType():
            words = f"one of {', '.join(one.value for one in kind.cls)}"
        case msgspec.inspect.LiteralType():
            words = f"one of {', '.join(map(str, kind.values))}"
        case msgspec.inspect.ListType():
            least = " with at least one item" if kind.min_length else ""
            words = f"a list in brackets{least}, each {_in_words(kind.item_type)}"
        case _:
            words = "some text" if getattr(kind, "min_length", None) else "text"
    return words


def _bounds(kind: msgspec.inspect.IntType | msgspec.inspect.FloatType) -> str:
    said = [f"above {kind.gt:g}"] if kind.gt is not None else []
    said += [f"{kind.ge:g} or more"] if kind.ge is not None else []
    if kind.le is not None and kind.le < _TOLD_AT_MOST:
        said.append(f"at most {kind.le:.0f}")
    return "".join(f", {one}" for one in said)
