"""What a person asks for: the options of `deploy`."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from fleet.errors import OrderError

#: Options that exclude each other, and why.
_EXCLUDE = (
    ("new_password", "credentials", "the password is the one in that folder"),
    ("torch_index", "wheelhouse", "pip then asks no index"),
)
_PROGRAM = re.compile(r"[\w./+-]+")
_INDEX_SCHEMES = ("http", "https", "file")


def check_target(target: str) -> str:
    """Return `USER@HOST` unchanged when ssh cannot take it for something else.

    Raises:
        OrderError: a part of it is missing, begins as an option does, or has blanks.
    """
    user, at, host = target.removeprefix("ssh://").rpartition("@")
    is_plain = target.isprintable() and not any(map(str.isspace, target))
    if not is_plain or not host or (at and not user) or "-" in {target[:1], host[:1]}:
        message = f"host {target!r}: expected USER@HOST, or a name of your ssh configuration"
        raise OrderError(message)
    return target


def check_python(path: str) -> str:
    """Return the path or name of a program unchanged when it is one.

    Raises:
        OrderError: it has other characters than a path has.
    """
    if _PROGRAM.fullmatch(path) is None:
        message = f"--python {path!r}: expected a path on the box, such as /usr/bin/python3.12"
        raise OrderError(message)
    return path


def check_torch_index(url: str) -> str:
    """Return the URL of an index unchanged when it is one.

    Raises:
        OrderError: it is no URL that pip takes.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in _INDEX_SCHEMES and bool(parts.hostname or parts.path.strip("/"))
    except ValueError:
        is_url = False
    if not is_url or not url.isprintable() or " " in url:
        message = f"--torch-index {url!r}: expected a URL, such as https://index.example/whl/cpu"
        raise OrderError(message)
    return url


def exclusion(order: Order) -> tuple[str, str, str] | None:
    """Two options of an order that exclude each other, and why; None where none do."""
    for one, other, why in _EXCLUDE:
        if getattr(order, one) and getattr(order, other):
            return one, other, why
    return None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One box and what shall be on it; None takes what is there, or the default."""

    target: str
    authority: Path
    site: str | None = None
    device: str | None = None
    bundles: Path | None = None
    for_user: bool = False
    prefix: str | None = None
    broker: str | None = None
    broker_here: str | None = None
    #: `KEY=VALUE` of agent.toml.
    settings: tuple[str, ...] = ()
    python: str | None = None
    wheel: Path | None = None
    constraints: Path | None = None
    wheelhouse: Path | None = None
    torch_index: str | None = None
    system_packages: bool = False
    new_password: bool = False
    #: A folder that `enroll` wrote.
    credentials: Path | None = None
    ssh_config: Path | None = None
    #: Leave a release that failed on the box, to look at.
    keep_failed: bool = False
    timeout_s: float
    dry_run: bool = False
    remove: bool = False
    purge: bool = False
