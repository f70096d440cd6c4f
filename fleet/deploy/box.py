"""What a box is, as one script asked it over ssh, and whether an agent can live there."""

from __future__ import annotations

import re
import shlex
from importlib import resources

import msgspec

from fleet.deploy.ssh import Ssh
from fleet.errors import DeployError, UnsuitableBoxError
from fleet.torchpin import BoxPython, TorchPin, torch_pin

_PROBE = resources.files("fleet.deploy").joinpath("probe.sh")
#: The distribution's own first: security updates reach it.
_PYTHONS = ("python3", "python3.13", "python3.12", "python3.11", "python3.14")
_BYTES_PER_KIB = 1024
#: Version that brought `-P`.
_SAFE_PATH_SINCE = (3, 11)
_NOT_IN_ID = re.compile(r"[^a-z0-9_-]+")
_ID_CHARACTERS = 64


class Python(msgspec.Struct, frozen=True, kw_only=True):
    """One Python of the box."""

    path: str
    machine: str
    pointer_bits: int
    version: tuple[int, int, int]
    #: Name and version of the C library.
    libc: tuple[str, str]
    has_venv: bool

    @property
    def dotted(self) -> str:
        """Its version, such as 3.11.2."""
        return ".".join(map(str, self.version))

    @property
    def pin(self) -> TorchPin:
        """The PyTorch for it.

        Raises:
            UnsuitableBoxError: no PyTorch fits, or `venv` is missing.
        """
        name, _, version = self.libc[0], "", self.libc[1]
        numbers = re.match(r"(\d+)\.(\d+)", version) if name == "glibc" else None
        pin = torch_pin(
            BoxPython(
                machine=self.machine,
                pointer_bits=self.pointer_bits,
                version=self.version[:2],
                glibc=(int(numbers[1]), int(numbers[2])) if numbers else None,
            )
        )
        if not self.has_venv:
            message = (
                f"{self.path}: expected the modules venv and ensurepip; on Debian, Ubuntu and "
                "Raspberry Pi OS 'sudo apt install python3-venv' on the box brings them"
            )
            raise UnsuitableBoxError(message)
        return pin


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """The remote side; None where it does not tell."""

    user: str
    uid: int
    home: str
    host: str
    machine: str
    #: Its clock, in seconds of the Unix epoch.
    now: int
    #: `free` without a password, `asks` for one, or `none`.
    sudo: str
    #: Version of the systemd that runs there.
    systemd: int | None = None
    has_user_systemd: bool = False
    ram_bytes: int | None = None
    board: str | None = None
    #: Whether it has the device of a Raspberry Pi's firmware.
    has_firmware: bool = False
    lacks: tuple[str, ...] = ()
    pythons: tuple[Python, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether we log in as root."""
        return self.uid == 0

    @property
    def device_id(self) -> str:
        """Its host name as the identifier of a device."""
        name = self.host.partition(".")[0].lower()
        return _NOT_IN_ID.sub("-", name).strip("-")[:_ID_CHARACTERS] or "box"

    def suitable_python(self) -> Python:
        """The first Python on which the agent can run.

        Raises:
            UnsuitableBoxError: there is none; the message says what the box would need.
        """
        self._check_tools()
        problems: list[UnsuitableBoxError] = []
        for python in self.pythons:
            try:
                _ = python.pin
            except UnsuitableBoxError as error:
                problems.append(error)
            else:
                return python
        raise problems[0]

    def removing_python(self) -> Python:
        """A Python that takes an agent off; that it could run one as well is not needed.

        Raises:
            UnsuitableBoxError: there is none; the message says what the box would need.
        """
        self._check_tools()
        new = (one for one in self.pythons if one.version[:2] >= _SAFE_PATH_SINCE)
        return next(new, None) or self.suitable_python()

    def _check_tools(self) -> None:
        if self.lacks:
            message = f"the box lacks {', '.join(self.lacks)}; install coreutils there"
            raise UnsuitableBoxError(message)
        if not self.pythons:
            message = (
                "the box has no python3; on Debian, Ubuntu and Raspberry Pi OS 'sudo apt install "
                "python3-venv' brings it"
            )
            raise UnsuitableBoxError(message)


def look(ssh: Ssh, *, python: str | None = None) -> Box:
    """Ask a box what it is; changes nothing there.

    Args:
        ssh: an open connection.
        python: the Python to use there; None looks for those with the usual names.

    Raises:
        BoxUnreachableError: the connection failed.
        DeployError: the answers make no sense.
    """
    wanted = shlex.quote(python) if python is not None else " ".join(_PYTHONS)
    script = f"pythons={shlex.quote(wanted)}\n{_PROBE.read_text()}"
    return parse_box(ssh.run(script))


def parse_box(text: str) -> Box:
    """The box from lines `KEY=VALUE`; others, such as greetings, are passed over.

    Raises:
        DeployError: a fact is missing or malformed.
    """
    facts: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            facts.setdefault(key, []).append(value)

    def first(key: str) -> str | None:
        return next(iter(facts.get(key, [])), None) or None

    try:
        ram_kib = first("ram_kib")
        systemd = first("systemd")
        return Box(
            user=facts["user"][0],
            uid=int(facts["uid"][0]),
            home=facts["home"][0],
            host=facts["host"][0],
            machine=facts["machine"][0],
            now=int(facts["now"][0]),
            sudo=facts["sudo"][0],
            systemd=int(systemd) if systemd is not None else None,
            has_user_systemd="user_systemd" in facts,
            ram_bytes=int(ram_kib) * _BYTES_PER_KIB if ram_kib is not None else None,
            board=first("board"),
            has_firmware="firmware" in facts,
            lacks=tuple(facts.get("lacks", ())),
            pythons=tuple(msgspec.json.decode(one, type=Python) for one in facts.get("python", ())),
        )
    except (KeyError, ValueError, msgspec.MsgspecError) as error:
        message = f"the box answered what makes no sense ({error}): {text[:400]!r}"
        raise DeployError(message) from error
