"""Keeps two people from deploying to one box at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fleet.deploy.box import Python
from fleet.deploy.layout import Layout
from fleet.deploy.ssh import Ssh
from fleet.errors import DeployError

_HELD, _BUSY = "held", "busy"
#: The kernel lets go of the lock when the connection ends, however it ends.
_HOLD = """\
import fcntl, os, sys
os.makedirs(os.path.dirname(sys.argv[1]), exist_ok=True)
file = open(sys.argv[1], "w")
try:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("busy", flush=True)
    sys.exit()
print("held", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def locked(ssh: Ssh, layout: Layout, python: Python, *, as_root: bool) -> Iterator[None]:
    """Hold the box for this deploy alone.

    Raises:
        DeployError: another deploy holds it, or the folder cannot be made.
        BoxUnreachableError: the connection failed.
    """
    words = [python.path, "-c", _HOLD]
    with ssh.holding([*words, str(layout.lock)], as_root=as_root) as answer:
        if answer == _BUSY:
            message = f"{ssh.target}: another deploy to this box is going on; wait for its end"
            raise DeployError(message)
        if answer != _HELD:
            message = f"{ssh.target}: {layout.app} cannot be made there; see --prefix, or log in "
            raise DeployError(message + "as somebody who may")
        yield
