"""Policies: limits and objectives in TOML, with overrides per site, group and device."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path

import msgspec

from contract.topics import ID_PATTERN
from fleet.choosing.metric import Metric
from fleet.choosing.terms import Constraint, Objective, Terms, parse_constraint, parse_objective
from fleet.errors import PolicyError

DEFAULT_POLICY = "most-accurate"


class _Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    constraints: list[str] = []
    objectives: list[str] = []


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    objectives: list[str]
    constraints: list[str] = []
    sites: dict[str, _Override] = {}
    groups: dict[str, _Override] = {}
    devices: dict[str, _Override] = {}


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What one site, group or device changes; no objectives means that it changes none."""

    constraints: tuple[Constraint, ...] = ()
    objectives: tuple[Objective, ...] = ()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A checked policy; `devices` is keyed by `site/device`."""

    name: str
    base: Override
    sites: dict[str, Override]
    groups: dict[str, Override]
    devices: dict[str, Override]

    def terms_for(self, site: str, device: str, groups: Iterable[str]) -> Terms:
        """What holds for one device.

        A more specific constraint replaces the one of the same metric: device before group
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
        constraints: dict[Metric, Constraint] = {}
        objectives: tuple[Objective, ...] = ()
        for layer in layers:
            constraints |= {one.metric: one for one in layer.constraints}
            objectives = layer.objectives or objectives
        return Terms(
            policy=self.name, constraints=tuple(constraints.values()), objectives=objectives
        )


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
        hint = (
            f"did you mean '{near[0]}'?"
            if near
            else f"expected a file, or one of {', '.join(names)}"
        )
        message = f"policy '{name}': {hint}"
        raise PolicyError(message)
    entry = resources.files("fleet.choosing") / "policies" / f"{name}.toml"
    return entry.read_text(encoding="utf-8")


def load_policy(name_or_file: str) -> Policy:
    """Load a ready policy by name, or any policy from a TOML file.

    Raises:
        PolicyError: no such policy or file, or it is malformed; the message names the place.
    """
    path = Path(name_or_file)
    if path.suffix != ".toml" and path.name == name_or_file and not path.is_file():
        return parse_policy(ready_policy_text(name_or_file), source=f"policy '{name_or_file}'")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else str(error)
        message = f"policy file {path}: {cause}; ready policies are {', '.join(ready_policies())}"
        raise PolicyError(message) from error
    return parse_policy(text, source=str(path))


def parse_policy(text: str, *, source: str) -> Policy:
    """Check a policy's TOML; `source` names it in errors.

    Raises:
        PolicyError: not TOML, an unknown or missing field, or a malformed term.
    """
    try:
        document = msgspec.toml.decode(text, type=_Document)
    except msgspec.MsgspecError as error:
        message = f"{source}: {error}"
        raise PolicyError(message) from error
    if not document.objectives:
        message = f"{source}: objectives: expected at least one, such as ['max top1'], got none"
        raise PolicyError(message)
    for name in document.devices:
        if name.count("/") != 1:
            message = (
                f'{source}: devices."{name}": expected [devices."SITE/DEVICE"], each of '
                f"{ID_PATTERN}"
            )
            raise PolicyError(message)
    base = _Override(document.constraints, document.objectives)

    def table(kind: str, overrides: dict[str, _Override]) -> dict[str, Override]:
        return {
            name: _override(override, f"{source}: {kind}s.{name}.", f"{kind} {name}")
            for name, override in overrides.items()
        }

    return Policy(
        name=document.name,
        base=_override(base, f"{source}: ", "policy"),
        sites=table("site", document.sites),
        groups=table("group", document.groups),
        devices=table("device", document.devices),
    )


def _override(override: _Override, place: str, origin: str) -> Override:
    constraints = tuple(
        parse_constraint(text, place=f"{place}constraints[{index}]", origin=origin)
        for index, text in enumerate(override.constraints)
    )
    _check_unique([one.metric for one in constraints], f"{place}constraints")
    objectives = tuple(
        parse_objective(text, place=f"{place}objectives[{index}]")
        for index, text in enumerate(override.objectives)
    )
    _check_unique([one.metric for one in objectives], f"{place}objectives")
    return Override(constraints=constraints, objectives=objectives)


def _check_unique(metrics: Sequence[Metric], place: str) -> None:
    twice = sorted({metric.value for metric in metrics if metrics.count(metric) > 1})
    if twice:
        message = f"{place}: expected each metric once, got {', '.join(twice)} twice"
        raise PolicyError(message)
