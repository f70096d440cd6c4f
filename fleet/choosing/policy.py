"""Policies: limits and objectives in TOML, with overrides per site, group and device."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import msgspec

from contract.files import read_handwritten
from fleet.choosing.mistake import mistakes_text
from fleet.choosing.override import Override, terms_of
from fleet.choosing.policy_document import PolicyDocument, read_document
from fleet.choosing.terms import Terms
from fleet.errors import PolicyError

DEFAULT_POLICY = "most-accurate"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A checked policy; `devices` is keyed by `site/device`."""

    name: str
    base: Override
    sites: dict[str, Override]
    groups: dict[str, Override]
    devices: dict[str, Override]

    def terms_for(self, site: str, device: str, groups: Iterable[str]) -> Terms:
        """What holds for one device.

        A more specific constraint replaces the one of the same metric, and what is asked
        of evidence that of the same kind: device before group
        before site before the policy itself. Of several groups the one that stands later in
        the policy file wins.
        """
        member_of = set(groups)
        layers = [self.base]
        if site in self.sites:
            layers.append(self.sites[site])
        layers.extend(override for name, override in self.groups.items() if name in member_of)
        if f"{site}/{device}" in self.devices:
            layers.append(self.devices[f"{site}/{device}"])
        return terms_of(self.name, layers)


def ready_policies() -> list[str]:
    """Names of the policies that come along."""
    folder = resources.files("fleet.choosing") / "policies"
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in folder.iterdir()
        if entry.name.endswith(".toml")
    )


def ready_policy_text(name: str) -> str:
    """TOML of a ready policy.

    Raises:
        PolicyError: there is none of that name.
    """
    names = ready_policies()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        advice = f"did you mean '{near[0]}'?" if near else "check the name or the path"
        message = (
            f"policy '{name}': expected a TOML file or a ready policy ({', '.join(names)}), got "
            f"neither; {advice}"
        )
        raise PolicyError(message)
    entry = resources.files("fleet.choosing") / "policies" / f"{name}.toml"
    return entry.read_text(encoding="utf-8")


def load_policy(name_or_file: str) -> Policy:
    """Load a ready policy by name, or any policy from a TOML file.

    Raises:
        PolicyError: no such policy or file, or it is malformed; the message names the place.
    """
    text, source = policy_text(name_or_file)
    return parse_policy(text, source=source)


def policy_text(name_or_file: str) -> tuple[str, str]:
    """TOML of a ready policy or of a file, and what to call it in errors.

    Raises:
        PolicyError: no such policy or file, or the file is not text.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml" and path.name == name_or_file and not path.is_file():
        return ready_policy_text(name_or_file), f"{name_or_file}.toml"
    try:
        return read_handwritten(path), str(path)
    except UnicodeDecodeError as error:
        content = error.object[: error.start]
        line = content.count(b"\n") + 1
        column = len(content[content.rfind(b"\n") + 1 :].decode()) + 1
        byte = error.object[error.start]
        message = (
            f"{path}:{line}:{column}: expected UTF-8, got the byte 0x{byte:02x}; save the file "
            "as UTF-8"
        )
        raise PolicyError(message) from error
    except OSError as error:
        ready = ", ".join(ready_policies())
        message = f"policy file {path}: {error.strerror}; ready policies are {ready}"
        raise PolicyError(message) from error


def parse_policy(text: str, *, source: str) -> Policy:
    """Check a policy's TOML; `source` names it in errors.

    Raises:
        PolicyError: not TOML, an unknown or missing field, or a malformed term; says all that
            is wrong, each with line and column.
    """
    document = read_document(text, source=source)
    if document.mistakes:
        raise PolicyError(mistakes_text(source, document.mistakes))
    return policy_of(document)


def policy_of(document: PolicyDocument) -> Policy:
    """Policy of a document without mistakes."""
    return Policy(
        name=document.name,
        base=document.base,
        sites=document.sites,
        groups=document.groups,
        devices=document.devices,
    )
