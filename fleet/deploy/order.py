"""What a person asks for: the options of `deploy`."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fleet.errors import OrderError


def check_target(target: str) -> str:
    """Return `USER@HOST` unchanged when ssh cannot take it for something else.

    Raises:
        OrderError: it begins as an option does, or has blanks.
    """
    if target.startswith("-") or not target.isprintable() or any(map(str.isspace, target)):
        message = f"host {target!r}: expected USER@HOST, or a name of your ssh configuration"
        raise OrderError(message)
    return target


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
