"""Explanations and rollouts as lines of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from edgewright.terminal import CELL_CHARACTERS, visible
from fleet.reports.report import DeviceReport, ExplanationReport
from fleet.store.broker_load import BrokerBehind
from fleet.store.identity import IdentityStatus
from fleet.store.rollout import Rollout

#: Of a list that has a device each, which may be thousands.
_MOST_TOLD = 10


def explanation_lines(name: str, document: ExplanationReport) -> list[str]:
    """Sections of an explained decision for the device `name`; empty ones are left out."""
    told, row = document.explanation, document.recommendation
    lines = [
        f"{name} under policy '{row.policy}': {told.headline}",
        f"limits: {', '.join(row.constraints) or 'none'}; objectives: {', '.join(row.objectives)}"
        + (f"; evidence: {', '.join(row.evidence)}" if row.evidence else ""),
    ]
    sections = (
        ("How it was chosen", told.course),
        (
            "Runner-up",
            [*([told.runner_up] if told.runner_up else []), *(one.words for one in told.margins)],
        ),
        ("Limits", told.limits),
        (
            "What it would take for another",
            [
                *(one.words for one in told.prospects),
                *([told.closeness] if told.closeness else []),
            ],
        ),
        ("Worth it here", told.worth_it),
        ("Not worth it here", told.not_worth_it),
        ("Failed runs", told.failed),
        ("Too little evidence", told.insufficient),
    )
    for heading, sentences in sections:
        if sentences:
            lines.extend(["", f"{heading}:", *(f"  {sentence}" for sentence in sentences)])
    return lines


def identity_lines(rows: Sequence[DeviceReport]) -> list[str]:
    """A line for each device whose identity is in doubt, as far as `shortened` goes.

    Boxes that share one come first: there, somebody has to do something.
    """
    told = [row for row in rows if row.identity_reason is not None]
    told.sort(key=lambda row: row.identity is not IdentityStatus.CLONED)
    return shortened([f"{row.site}/{row.device}: {row.identity_reason}" for row in told])


def group_lines(members: Mapping[str, Sequence[str]]) -> list[str]:
    """A line for each group with names of devices in it, both as far as `shortened` goes."""
    return shortened(
        [
            # An inventory may bring a name of any length.
            f"{visible(name, CELL_CHARACTERS)}: {', '.join(shortened(devices))}"
            for name, devices in members.items()
        ]
    )


def shortened(texts: Sequence[str]) -> list[str]:
    """The first of many texts, and how many more there are."""
    more = len(texts) - _MOST_TOLD
    # In the place of a count of one, that one itself stands.
    return [*texts] if more <= 1 else [*texts[:_MOST_TOLD], f"and {more:,} more; --json has all"]


def broker_line(behind: BrokerBehind) -> str:
    """When the embedded broker was behind, and what to do."""
    at = datetime.fromtimestamp(behind.at).astimezone()
    return (
        f"The broker of 'serve' was behind at {at:%Y-%m-%d %H:%M} with {behind.clients} clients: "
        f"{behind.reason}."
    )


def rollout_lines(rollouts: Sequence[Rollout], *, dry_run: bool) -> list[str]:
    """One line a device."""
    if not rollouts:
        return ["No device has reported yet."]
    return [_rollout_line(rollout, dry_run=dry_run) for rollout in rollouts]


def _rollout_line(rollout: Rollout, *, dry_run: bool) -> str:
    name, wanted = f"{rollout.site}/{rollout.device}", rollout.desired
    if wanted is None:
        return f"{name}: left alone; {rollout.reason}"
    verb = "would become" if dry_run and rollout.changed else "desired"
    return (
        f"{name}: {verb} {wanted.variant} at {wanted.threads} "
        f"thread{'' if wanted.threads == 1 else 's'}, generation {wanted.generation}; "
        f"{rollout.reason}"
    )
