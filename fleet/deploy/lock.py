"""Keeps two people from deploying to one box at once, also where one deploy was killed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from edgewright.terminal import visible
from fleet.deploy.box import Python
from fleet.deploy.layout import Layout
from fleet.deploy.remote_command import BoxLock
from fleet.deploy.ssh import Ssh
from fleet.errors import DeployError

_HELD, _BUSY = "held", "busy"


@contextlib.contextmanager
def locked(ssh: Ssh, layout: Layout, python: Python, *, as_root: bool) -> Iterator[None]:
    """Hold the box for this deploy alone; meanwhile each script of `ssh` holds it as well.

    So the box is free once this deploy *and* the last script that it began there have ended,
    however they ended. `remote_runner` has the rules.

    Raises:
        DeployError: another deploy holds it, or the folder cannot be made.
        BoxUnreachableError: the connection failed.
    """
    lock = BoxLock(python=python.path, path=str(layout.lock))
    with ssh.holding(lock, as_root=as_root) as said:
        answer = _answer(said)
        if answer.get("answer") == _BUSY:
            message = f"{ssh.target}: {_busy(answer)}"
            raise DeployError(message)
        if answer.get("answer") != _HELD:
            reason = visible(answer.get("reason", "no answer"))
            message = (
                f"{ssh.target}: {layout.app} cannot be made there ({reason}); see --prefix, or "
                "log in as somebody who may"
            )
            raise DeployError(message)
        with ssh.guarded(lock):
            yield


def _answer(said: str) -> dict[str, str]:
    try:
        answer = json.loads(said)
    except ValueError:
        return {}
    return {key: str(value) for key, value in answer.items()} if isinstance(answer, dict) else {}


def _busy(answer: dict[str, str]) -> str:
    """Who is at work there, as far as the box tells; an older deploy leaves no name."""
    who = f" of {visible(answer['by'])}" if answer.get("by") else ""
    since = f", begun {visible(answer['since'])}," if answer.get("since") else ""
    doing = f" ({visible(answer['doing'])})" if answer.get("doing") else ""
    return (
        f"another deploy{who}{since} is at work on this box{doing}; wait for its end. Where that "
        "deploy was killed, what it began there ends by itself"
    )
