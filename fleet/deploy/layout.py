"""Where everything lies on a box: of a system install, and of one user's."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath

import msgspec

from fleet.deploy.box import Box
from fleet.errors import DeployError, OrderError, UnsuitableBoxError

UNIT_NAME = "edgewright-agent.service"
SYSTEM_USER = "edgewright"


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
        """Held while somebody deploys."""
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
    """A folder of the box to install below.

    Raises:
        OrderError: it is not absolute, or cannot be written in a systemd unit.
    """
    base = PurePosixPath(prefix)
    if not base.is_absolute() or any(c in str(base) for c in " \n\"'\\%$"):
        message = f"--prefix {prefix!r}: expected an absolute path on the box, of plain characters"
        raise OrderError(message)
    return base


def user_layout(box: Box, prefix: str | None) -> Layout:
    """For the user who logs in, below `prefix`, by default their own data folder.

    Raises:
        DeployError: the prefix is not absolute, or cannot be written in a systemd unit.
    """
    base = check_prefix(prefix or f"{box.home}/.local/share/edgewright")
    return Layout(
        keeper=Keeper.USER if box.has_user_systemd else Keeper.NOBODY,
        app=base,
        config=base / "etc",
        data=base,
        unit=PurePosixPath(box.home) / ".config/systemd/user" / UNIT_NAME
        if box.has_user_systemd
        else None,
        owner=None,
    )
