"""The folder that `broker-config` writes: what it was told holds when it is written again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from contract.files import write_atomically
from fleet.authority.authority import Authority
from fleet.commands.printing import complain
from fleet.errors import AuthorityError

_TOLD = "broker-config.json"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a folder was written with."""

    kind: str
    #: Options as a command line has them, by parameter; paths are absolute.
    options: dict[str, str | list[str]]
    #: SHA-256 of the certificate of the authority whose accounts are in it.
    authority: str
    #: SHA-256 of the configuration, as it was written.
    config: str


class BrokerFolder:
    """A folder with a broker's configuration, and with what that was made of.

    The configuration itself is left alone where somebody has changed it since: accounts and
    rules are in files of their own.
    """

    def __init__(self, folder: Path) -> None:
        """Read what the folder was written with; nothing where it is new.

        Raises:
            AuthorityError: that is damaged.
        """
        self.path = folder.absolute()
        self.told = _read(self.path / _TOLD)

    def check(
        self, authority: Authority, kind: str, options: Mapping[str, str | list[str]]
    ) -> list[str]:
        """Which options are others than before, as parameters.

        Raises:
            AuthorityError: it was written for another broker, or for another authority.
        """
        if self.told is None:
            return []
        if self.told.kind != kind:
            message = f"{self.path}: written for {self.told.kind}; name another folder with --out"
            raise AuthorityError(message)
        if self.told.authority != _fingerprint(authority):
            message = (
                f"{self.path}: written with the accounts of another authority than "
                f"{authority.folder}; name that one with --authority, or another folder with --out"
            )
            raise AuthorityError(message)
        return [name for name, value in options.items() if self.told.options.get(name) != value]

    def is_ours(self, config: Path, text: str, changed: list[str]) -> bool:
        """Whether the configuration may be written; not where it was changed by hand.

        Args:
            config: the file.
            text: what it would have in it.
            changed: options that are others than before, as a command line has them.

        Raises:
            AuthorityError: nobody knows what it was made of, or what changed could not be in it.
        """
        there = config.read_bytes() if config.exists() else text.encode()
        if there == text.encode():
            return True
        if self.told is None:
            message = (
                f"{config} is there, and nothing says what it was made of: {_TOLD} is not beside "
                "it. Move it away, and give every option once more"
            )
            raise AuthorityError(message)
        if hashlib.sha256(there).hexdigest() == self.told.config:
            return True
        if changed:
            message = (
                f"{config} was changed by hand, so {', '.join(changed)} cannot be put into it; "
                "change it there, or move it away to have it made anew"
            )
            raise AuthorityError(message)
        complain(f"{config} was changed by hand and stays as it is; accounts and rules are new")
        return False

    def write(
        self,
        config: Path,
        text: str | None,
        *,
        authority: Authority,
        kind: str,
        options: Mapping[str, str | list[str]],
    ) -> None:
        """Write the configuration, and what it was made of; a `text` of None leaves it.

        Raises:
            OSError: they cannot be written.
        """
        if text is not None:
            write_atomically(config, text.encode(), keeps_owner=True)
        elif self.told is not None:
            return
        told = Told(
            kind=kind,
            options=dict(options),
            authority=_fingerprint(authority),
            config=hashlib.sha256(config.read_bytes()).hexdigest(),
        )
        content = msgspec.json.format(msgspec.json.encode(told))
        write_atomically(self.path / _TOLD, content + b"\n", keeps_owner=True)


def _fingerprint(authority: Authority) -> str:
    return hashlib.sha256(authority.ca_file.read_bytes()).hexdigest()


def _read(file: Path) -> Told | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Told)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        message = (
            f"{file}: {error}; it says what this folder was written with. Write into another "
            "folder with --out, and give every option there"
        )
        raise AuthorityError(message) from error
