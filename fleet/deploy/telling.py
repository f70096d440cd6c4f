"""A deploy as lines of text and as documents: the box, the steps, what came of them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.deploy.order import Order
from fleet.deploy.preparation import Prepared
from fleet.deploy.steps import Step, step_lines

_SHOWN_LINES = 12


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a deploy came to; it is what `--json` prints."""

    site: str
    device: str
    target: str
    release: str
    previous_release: str | None
    keeper: str
    torch: str | None
    bundle_set: str | None
    broker: str
    notes: list[str]
    #: Whether anything on the box had to be changed.
    changed: bool = True


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What `--remove --json` prints."""

    target: str
    release: str | None
    #: What stays on the box.
    kept: list[str]
    #: Steps that were taken; none where nothing was there.
    steps: list[str] = []
    notes: list[str] = []


class DryStep(msgspec.Struct, frozen=True, kw_only=True):
    """What `--dry-run --json` prints of a step."""

    title: str
    as_root: bool
    does: list[str]


def facts_lines(order: Order, found: Prepared) -> list[str]:
    """The box, and what is to come there."""
    box, python, layout = found.box, found.python, found.wanted.layout
    pin = python.pin
    torch = (
        "that of the box's Python where it is 2.9 or later"
        if order.system_packages
        else f"{pin.version}: {pin.why}"
    )
    becomes = found.there.release or "nothing"
    return [
        f"{order.target}: {box.board or box.host}, {python.machine}, Python {python.dotted}",
        f"torch {torch}",
        f"device {found.site}/{found.device}, broker {found.broker}",
        f"below {layout.app}, kept by {layout.keeper.value}; there now: {becomes}",
        # After a deploy they stand at the end.
        *(f"note: {remark}" for remark in found.remarks if order.dry_run),
    ]


def dry_steps(steps: Sequence[Step]) -> list[DryStep]:
    """Steps as a document."""
    return [DryStep(title=s.title, as_root=s.as_root, does=step_lines(s)) for s in steps]


def dry_lines(steps: Sequence[DryStep]) -> list[str]:
    """Steps as text."""
    lines = []
    for number, step in enumerate(steps, start=1):
        by = " (root)" if step.as_root else ""
        lines.append(f"[{number}/{len(steps)}] {step.title}{by}")
        lines += [f"      {line}" for line in _shortened(step.does)]
    return [*lines, "Nothing was changed."]


def _shortened(lines: list[str]) -> list[str]:
    # A certificate and a list of versions tell a reader little; --json has them whole.
    texts = [line for line in lines if line.startswith("< ")]
    if len(texts) <= _SHOWN_LINES:
        return lines
    left = len(texts) - _SHOWN_LINES
    head = [line for line in lines if not line.startswith("< ")]
    return [*head, *texts[:_SHOWN_LINES], f"< ({left} more lines)"]


def outcome_lines(outcome: Outcome) -> list[str]:
    """What a deploy came to."""
    was = f" (before: {outcome.previous_release})" if outcome.previous_release else ""
    said = f"{outcome.site}/{outcome.device} on {outcome.target} runs {outcome.release}{was}."
    return [said, *_note_lines(outcome.notes)]


def removed_lines(removed: Removed) -> list[str]:
    """What a removal came to."""
    kept = f"; left there: {', '.join(removed.kept)} (--purge)" if removed.kept else ""
    said = (
        f"The agent is off {removed.target}{kept}. 'edgewright-fleet revoke SITE/DEVICE' voids "
        "its password."
        if removed.steps
        else f"No agent is on {removed.target}{kept}."
    )
    return [said, *_note_lines(removed.notes)]


def _note_lines(notes: Sequence[str]) -> list[str]:
    return [one if one.startswith("note: ") else f"note: {one}" for one in notes]
