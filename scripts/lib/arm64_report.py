"""What was seen on emulated ARM: as tables, and as sentences on what is wrong.

Rows are the documents of `bench --json` and `results --json`, and the lines of
`arm64_numerics.py`.
"""

from __future__ import annotations

from typing import Any

from rich.table import Table

Row = dict[str, Any]


def wrong_numerics(rows: list[Row]) -> list[str]:
    """What the engine that the agent takes computes otherwise than the builder's."""
    found = []
    for row in rows:
        where = f"{row['variant']} on {row['engine'] or 'floats'}"
        if "error" in row:
            found.append(f"{where}: {row['error']}")
        elif not row["ok"]:
            found.append(f"{where}: off by {row['max_error']:.2g} of the range of its logits")
    return found


def wrong_runs(runs: list[Row], who: str) -> list[str]:
    """Runs that did not end well."""
    return [
        f"{who}: {run['variant']}: {run['status']}: {run['reason']}"
        for run in runs
        if run["status"] != "ok"
    ]


def wrong_delivery(stored: Row, *, expected: int) -> list[str]:
    """What did not arrive, or arrived otherwise than it left."""
    device = stored["device"]
    found = []
    if len({run["variant"] for run in stored["runs"]}) != expected:
        found.append(f"fleet: expected runs of {expected} variants, got {len(stored['runs'])} runs")
    if device["missing"] or device["quarantined"]:
        found.append(f"fleet: {device['missing']} missing, {device['quarantined']} refused")
    if device["inventory"]["arch"] != "aarch64":
        found.append(f"fleet: expected an aarch64 device, got {device['inventory']['arch']}")
    return found


def numerics_table(rows: list[Row]) -> Table:
    """One line for each bundle and engine; the agent's own choice is marked."""
    table = _table("variant", "built for", "engine on ARM", "max error", "tolerance", "")
    for row in rows:
        error, tolerance = row.get("max_error"), row.get("tolerance")
        table.add_row(
            row["variant"],
            row["built_for"] or "-",
            f"{row['engine'] or '-'}{' (chosen)' if row['engine'] and row['is_chosen'] else ''}",
            _share(error),
            _share(tolerance),
            row.get("error") or ("ok" if row["ok"] else "WRONG"),
        )
    return table


def runs_table(runs: list[Row]) -> Table:
    """Everything of runs that emulation leaves meaningful: no times, no memory."""
    table = _table("variant", "scheme", "engine on ARM", "status", "max error", "tolerance")
    for run in runs:
        golden = run["golden"] or {}
        table.add_row(
            run["variant"],
            run["scheme"],
            run["engine"] or "-",
            run["status"],
            _share(golden.get("max_error")),
            _share(golden.get("tolerance")),
        )
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2g}"
