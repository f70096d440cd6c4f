"""The steps of a deploy as data: what a dry run prints is what a real one does."""

from __future__ import annotations

import enum
from pathlib import PurePosixPath
from shlex import quote

import msgspec

from fleet.deploy.transfer import Shipment

_SECRET, _PUBLIC = "600", "644"


class Stage(enum.Enum):
    """What a failure means for the agent that runs."""

    #: Nothing that it uses was touched.
    PREPARE = "prepare"
    #: It was stopped, and has to be brought back.
    SWITCH = "switch"
    #: The new one runs.
    TIDY = "tidy"


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A script on the box."""

    title: str
    script: str
    as_root: bool
    stage: Stage = Stage.PREPARE
    #: Whether what it prints is told.
    is_told: bool = False


class Ship(msgspec.Struct, frozen=True, kw_only=True):
    """Files to a folder of the box."""

    title: str
    shipment: Shipment
    as_root: bool
    stage: Stage = Stage.PREPARE


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """Some text as a file of the box, whole or not at all."""

    title: str
    path: PurePosixPath
    text: str
    as_root: bool
    stage: Stage = Stage.PREPARE

    @property
    def command(self) -> str:
        """Writes standard input to the file."""
        return _write_command(self.path, mode=_PUBLIC, owner=None)


class Enroll(msgspec.Struct, frozen=True, kw_only=True):
    """Credentials for the device, made here; its password goes over standard input."""

    title: str
    path: PurePosixPath
    owner: str | None
    as_root: bool
    stage: Stage = Stage.PREPARE

    @property
    def command(self) -> str:
        """Writes standard input to the file of the password."""
        return _write_command(self.path, mode=_SECRET, owner=self.owner)


class Await(msgspec.Struct, frozen=True, kw_only=True):
    """The device's announcement, heard at the broker."""

    title: str
    as_root: bool = False
    stage: Stage = Stage.SWITCH


Step = Run | Ship | Write | Enroll | Await


def _write_command(path: PurePosixPath, *, mode: str, owner: str | None) -> str:
    """One line that puts standard input into a file, whole or not at all."""
    place, scratch = quote(str(path)), quote(f"{path}.part")
    chown = f" && chown {owner}:{owner} {scratch}" if owner else ""
    return f"umask 077; cat >{scratch} && chmod {mode} {scratch}{chown} && mv {scratch} {place}"


def step_lines(step: Step) -> list[str]:
    """What a step does, exactly."""
    match step:
        case Run():
            return step.script.splitlines()
        case Ship():
            return [
                *step.shipment.look_script().splitlines(),
                "# then, for what is missing of each file here:",
                *(step.shipment.append_command(one) for one in step.shipment.parcels),
            ]
        case Write():
            return [step.command, *(f"< {line}" for line in step.text.splitlines())]
        case Enroll():
            return [step.command, "< (the password; it is shown nowhere)"]
        case Await():
            return []
