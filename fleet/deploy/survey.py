"""What an earlier deploy left on a box, and whether there is room for the next."""

from __future__ import annotations

from shlex import quote

import msgspec

from contract.address import BrokerAddress
from fleet.deploy.box import Python
from fleet.deploy.keeper import is_running_script
from fleet.deploy.layout import Layout
from fleet.deploy.leftovers import FIND, Leftover
from fleet.deploy.release import PROVEN, Release
from fleet.deploy.ssh import Ssh
from fleet.errors import DeployError

_CONNECT_S = 5
#: The box's own modules: its home folder may hold a `json.py`.
_LOOKING = "-P -"
_ASK = """\
import json, os, shutil, sys
asked = json.loads(sys.argv[1])
def text(path):
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return None
def target(path):
    return os.path.basename(os.readlink(path)) if os.path.islink(path) else None
def free(path):
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free
@FIND@print("survey=" + json.dumps({
    "release": target(asked["current"]),
    "set_name": target(asked["bundles"]),
    "settings": text(asked["settings"]),
    "ca": text(asked["ca"]),
    "unit": text(asked["unit"]) if asked["unit"] else None,
    "app_free_bytes": free(asked["app"]),
    "data_free_bytes": free(asked["data"]),
    "leftovers": leftovers(asked),
}))
""".replace("@FIND@", FIND)
_REACH = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), int(sys.argv[3])).close()
except OSError as error:
    print("problem=" + str(error))
"""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What is there; None where there is nothing."""

    release: str | None
    set_name: str | None
    settings: str | None
    ca: str | None
    unit: str | None
    app_free_bytes: int
    data_free_bytes: int
    #: What failed and killed deploys left.
    leftovers: tuple[Leftover, ...] = ()
    is_running: bool = False
    #: Whether the release that is wanted is there, and was proven.
    is_release_proven: bool = False


def survey(ssh: Ssh, layout: Layout, python: Python) -> Survey:
    """Look at what is there; changes nothing.

    Raises:
        BoxUnreachableError: the connection failed.
        DeployError: the answer makes no sense.
    """
    asked = {
        "current": str(layout.current),
        "bundles": str(layout.bundles),
        "settings": str(layout.agent_toml),
        "ca": str(layout.ca_file),
        "unit": str(layout.unit) if layout.unit else None,
        "app": str(layout.app),
        "data": str(layout.data),
        "releases": str(layout.releases),
        "incoming": str(layout.incoming),
        "sets": str(layout.sets),
        "proven": PROVEN,
    }
    words = quote(msgspec.json.encode(asked).decode())
    script = "\n".join(
        [
            f"{quote(python.path)} {_LOOKING} {words} <<'END'\n{_ASK}END",
            is_running_script(layout).replace("echo yes", "echo running=yes"),
        ]
    )
    lines = dict(line.split("=", 1) for line in ssh.run(script).splitlines() if "=" in line)
    try:
        found = msgspec.json.decode(lines["survey"], type=Survey)
    except (KeyError, msgspec.MsgspecError) as error:
        message = f"the box answered what makes no sense: {error}"
        raise DeployError(message) from error
    return msgspec.structs.replace(found, is_running="running" in lines)


def why_unreachable(ssh: Ssh, python: Python, broker: BrokerAddress) -> str | None:
    """Why the box cannot reach a broker; None where it can.

    Raises:
        BoxUnreachableError: the connection failed.
    """
    words = " ".join(quote(str(one)) for one in (broker.host, broker.port, _CONNECT_S))
    said = ssh.run(f"{quote(python.path)} {_LOOKING} {words} <<'END'\n{_REACH}END")
    return said.strip().removeprefix("problem=") or None


def is_proven(ssh: Ssh, release: Release, layout: Layout) -> bool:
    """Whether a release is there already, and was proven.

    Raises:
        BoxUnreachableError: the connection failed.
    """
    return "yes" in ssh.run(release.is_proven_script(layout))


def password_there(ssh: Ssh, layout: Layout, *, as_root: bool) -> str | None:
    """The device's password as it stands on the box; None where there is none."""
    path = quote(str(layout.password_file))
    text = ssh.run(f"if [ -f {path} ]; then cat {path}; fi", as_root=as_root)
    return text.strip() or None
