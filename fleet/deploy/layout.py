"""Where everything lies on a box: of a system install, and of one user's."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath

import msgspec

from fleet.deploy.box import Box
from fleet.errors import DeployError, OrderError, UnsuitableBoxError

UNIT_NAME = "edgewright-agent.service"
SYSTEM_USER = "edgewright"
#: What a systemd unit or a virtual environment cannot have in a path.
_NOT_IN_PREFIX = frozenset(" \"'\\%$:")
#: Folders of the system, with all that is below them.
_WHOLLY_SYSTEMS = frozenset((
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "proc", "run",
    "sbin", "sys",
))  # fmt: skip
#: Folders whose own folders are the system's, or each somebody's.
_HOLD_FOLDERS = frozenset(("home", "var"))
_IN_USR_LOCAL = frozenset(
    ("bin", "etc", "games", "include", "lib", "lib64", "libexec", "man", "sbin", "share", "src")
)


class Keeper(enum.Enum):
    """Who starts the agent, and starts it again."""

    SYSTEM = "systemd"
    USER = "systemd --user"
    NOBODY = "nobody"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """Folders on the box, and who keeps the agent running from them."""

    keeper: Keeper
    #: Releases, each a virtual environment, and `current`, which points to one of them.
    app: PurePosixPath
    config: PurePosixPath
    data: PurePosixPath
    #: The systemd unit; None where nobody keeps the agent running.
    unit: PurePosixPath | None
    #: Whose the agent's secrets and state are; None for the user who logs in.
    owner: str | None

    @property
    def current(self) -> PurePosixPath:
        """The release that runs."""
        return self.app / "current"

    @property
    def incoming(self) -> PurePosixPath:
        """What is being copied."""
        return self.app / "incoming"

    @property
    def lock(self) -> PurePosixPath:
        """Held while somebody deploys; the first file there, it marks the folder as a deploy's."""
        return self.app / "deploy.lock"

    @property
    def agent_toml(self) -> PurePosixPath:
        """The agent's configuration."""
        return self.config / "agent.toml"

    @property
    def ca_file(self) -> PurePosixPath:
        """The certificate of the fleet's authority."""
        return self.config / "ca.pem"

    @property
    def password_file(self) -> PurePosixPath:
        """The device's password."""
        return self.config / "password"

    @property
    def sets(self) -> PurePosixPath:
        """Bundle sets, each a folder, and `current`, which points to one of them."""
        return self.data / "bundles"

    @property
    def bundles(self) -> PurePosixPath:
        """The bundle set that the agent measures."""
        return self.sets / "current"

    @property
    def state(self) -> PurePosixPath:
        """The agent's own: what it has not delivered yet, and what is active."""
        return self.data / "state"

    @property
    def log(self) -> PurePosixPath:
        """What an agent says that nobody keeps."""
        return self.data / "agent.log"

    @property
    def older_log(self) -> PurePosixPath:
        """The part of it that was before, once the agent has begun it anew."""
        return self.log.with_name(f"{self.log.name}.1")

    @property
    def pid_file(self) -> PurePosixPath:
        """The process id of an agent that nobody keeps."""
        return self.data / "agent.pid"

    @property
    def releases(self) -> PurePosixPath:
        """Every release, each in a folder of its own."""
        return self.app / "releases"

    def release(self, name: str) -> PurePosixPath:
        """Folder of one release."""
        return self.releases / name


def system_layout(box: Box) -> Layout:
    """For everybody on the box, with a user of its own; needs root.

    Raises:
        UnsuitableBoxError: there is no systemd.
        DeployError: there is no way to become root.
    """
    if box.systemd is None:
        message = (
            "systemd does not run on the box, and it is what keeps the agent running; '--user' "
            "installs without it, for the user who logs in"
        )
        raise UnsuitableBoxError(message)
    if not box.is_root and box.sudo == "none":
        message = (
            f"{box.user} is not root on the box, and it has no sudo; log in as root, or install "
            "for this user alone with '--user'"
        )
        raise DeployError(message)
    return Layout(
        keeper=Keeper.SYSTEM,
        app=PurePosixPath("/opt/edgewright"),
        config=PurePosixPath("/etc/edgewright"),
        data=PurePosixPath("/var/lib/edgewright"),
        unit=PurePosixPath("/etc/systemd/system") / UNIT_NAME,
        owner=SYSTEM_USER,
    )


def check_prefix(prefix: str) -> PurePosixPath:
    """A folder of the box to install below, which has no other use.

    Raises:
        OrderError: it is not absolute, is written in a roundabout way, cannot be written in a
            systemd unit, or is a folder of the system's.
    """
    base = PurePosixPath(prefix)
    is_plain = prefix.isprintable() and not _NOT_IN_PREFIX.intersection(prefix)
    if not base.is_absolute() or not is_plain:
        message = f"--prefix {prefix!r}: expected an absolute path on the box, of plain characters"
        raise OrderError(message)
    if {"", ".", ".."}.intersection(prefix.removesuffix("/").split("/")[1:]):
        message = f"--prefix {prefix!r}: expected a path without '//', '.' and '..'; write it out"
        raise OrderError(message)
    if _is_systems(base):
        raise _not_its_own(prefix, "a top-level folder or one of the system's")
    return base


def _is_systems(folder: PurePosixPath) -> bool:
    """Whether a folder is one that every Linux has, or holds folders of several owners."""
    top, *below = folder.parts[1:] or [""]
    if not below or top in _WHOLLY_SYSTEMS:
        return True
    if top == "usr":
        return below[0] != "local" or below[1:2] == [] or below[1] in _IN_USR_LOCAL
    return len(below) == 1 and top in _HOLD_FOLDERS


def _not_its_own(prefix: object, got: str) -> OrderError:
    return OrderError(
        f"--prefix '{prefix}': expected a folder of the agent's own, got {got}; leave it out, or "
        "name one such as /srv/edgewright"
    )


def user_layout(box: Box, prefix: str | None) -> Layout:
    """For the user who logs in, below `prefix`, by default their own data folder.

    Raises:
        OrderError: the prefix is no folder of its own, or cannot be written in a systemd unit.
    """
    home = PurePosixPath(box.home)
    base = check_prefix(str(home / ".local/share/edgewright") if prefix is None else prefix)
    if home.is_relative_to(base):
        raise _not_its_own(base, f"one that holds the home of {box.user}")
    return Layout(
        keeper=Keeper.USER if box.has_user_systemd else Keeper.NOBODY,
        app=base,
        config=base / "etc",
        data=base,
        unit=home / ".config/systemd/user" / UNIT_NAME if box.has_user_systemd else None,
        owner=None,
    )
