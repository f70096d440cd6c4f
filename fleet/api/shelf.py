"""Policies by name: those that come along, and those of a folder."""

from __future__ import annotations

import contextlib
import difflib
from pathlib import Path

import msgspec

from contract.files import read_handwritten
from fleet.choosing.policy import Policy, parse_policy, ready_policies, ready_policy_text
from fleet.errors import PolicyError, UnknownPolicyError


class PolicyText(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it stands in its file."""

    name: str
    #: Comes along with Edgewright.
    ready: bool
    toml: str


class PolicyShelf:
    """What clients may name; a name never leads to another file.

    Args:
        folder: every `NAME.toml` in it is the policy NAME, before a ready one of that name;
            read anew at each request. None: only those that come along.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Every policy, by name."""
        return sorted({*ready_policies(), *self._files()})

    def texts(self) -> list[PolicyText]:
        """Every policy that can be read, by name; a damaged file does not hide the others."""
        found = []
        for name in self.names():
            with contextlib.suppress(PolicyError):
                found.append(self.text(name))
        return found

    def text(self, name: str) -> PolicyText:
        """A policy's TOML.

        Raises:
            UnknownPolicyError: there is none of that name; says the nearest.
            PolicyError: its file cannot be read.
        """
        file = self._files().get(name)
        if file is not None:
            try:
                return PolicyText(name=name, ready=False, toml=read_handwritten(file))
            except (OSError, UnicodeDecodeError) as error:
                message = f"policy '{name}': its file cannot be read"
                raise PolicyError(message) from error
        if name in ready_policies():
            return PolicyText(name=name, ready=True, toml=ready_policy_text(name))
        names = self.names()
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(names)}"
        message = f"policy '{name}': {hint}"
        raise UnknownPolicyError(message)

    def policy(self, name: str) -> Policy:
        """A policy, checked.

        Raises:
            UnknownPolicyError: there is none of that name.
            PolicyError: it is malformed; the message names the place.
        """
        return parse_policy(self.text(name).toml, source=f"policy '{name}'")

    def _files(self) -> dict[str, Path]:
        if self._folder is None or not self._folder.is_dir():
            return {}
        return {file.stem: file for file in self._folder.glob("*.toml") if file.is_file()}
