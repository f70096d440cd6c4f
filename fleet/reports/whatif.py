"""What another policy would change, as a document and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from edgewright.console import Table
from fleet.choosing.decision import Ref, Status
from fleet.reports.table import plain_table
from fleet.store.whatif import Change


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that would go from one choice to another; None: from nothing."""

    before: Ref | None
    after: Ref
    devices: int


class WhatIfReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `whatif`."""

    policy: str
    devices: int
    would_change: int
    would_stay: int
    #: Devices for which nothing would be within the limits, or nothing is measured well
    #: enough; `apply` leaves them as they are.
    left_alone: int
    moves: list[Move]
    changes: list[Change]


def report_what_if(policy: str, changes: Sequence[Change]) -> WhatIfReport:
    """Count what changes; `changes` of the document has every device."""
    moving = [one for one in changes if one.changes]
    left_alone = sum(one.status is not Status.CHOSEN for one in changes)
    moves = Counter((one.now, one.then) for one in moving)
    return WhatIfReport(
        policy=policy,
        devices=len(changes),
        would_change=len(moving),
        would_stay=len(changes) - len(moving) - left_alone,
        left_alone=left_alone,
        moves=[
            Move(before=before, after=after, devices=count)
            for (before, after), count in moves.most_common()
            if after is not None
        ],
        changes=list(changes),
    )


def what_if_lines(report: WhatIfReport) -> Iterator[str]:
    """The counts in sentences."""
    yield (
        f"Under policy '{report.policy}', {report.would_change} of {report.devices} devices would "
        f"change, {report.would_stay} stay, and {report.left_alone} be left alone."
    )
    for move in report.moves:
        yield f"  {move.devices}: {move.before or 'nothing'} -> {move.after}"


def what_if_table(report: WhatIfReport) -> Table:
    """A row for each device that would change or be left alone."""
    table = plain_table("device", "now", "then", "why")
    for one in report.changes:
        if one.changes or one.status is not Status.CHOSEN:
            table.add_row(
                f"{one.site}/{one.device}",
                str(one.now or "-"),
                str(one.then) if one.then else f"({one.status.value})",
                one.reason or "",
            )
    return table
