"""What a simulation came to, in words and as a table."""

from __future__ import annotations

from edgewright.console import Table
from fleet.simulating.tally import SimulationReport


def simulation_lines(report: SimulationReport) -> list[str]:
    """What was asked, what became of it, and why it fell short where it did."""
    one = report
    lines = [
        f"{one.devices:,} devices over {one.connections:,} connections ({one.mode.value})",
        f"{one.clock_faults:,} with a wrong clock, {one.odd_boxes:,} odd boxes",
        f"{one.made:,} results in {one.making_s:.1f} s: {one.achieved_rate:,.0f} a second",
        f"{one.asked_rate:,.0f} were asked; this process took {one.processor_share:.0%} of a core",
        f"published {one.published:,}, acknowledged {one.acknowledged:,}",
        f"rejected {one.rejected:,}, outstanding {one.outstanding:,}",
        f"sent again {one.resent:,}, duplicates {one.duplicates:,}, malformed {one.malformed:,}",
        f"storms {one.storms:,}, departures {one.departures:,}",
        f"connections made {one.connected:,}, broken {one.broken:,}",
    ]
    if report.ack_p50_ms is not None:
        lines.append(
            f"to the acknowledgement: p50 {report.ack_p50_ms:,.0f} ms, p95 "
            f"{report.ack_p95_ms:,.0f} ms, at most {report.ack_max_ms:,.0f} ms"
        )
    if not report.is_rate_kept:
        lines.append(_why_slow(report))
    if report.problem is not None:
        lines.append(f"the last connection that broke: {report.problem}")
    if report.outstanding:
        lines.append("NOT everything is stored: is 'edgewright-fleet serve' running there?")
    return lines


def simulation_table(report: SimulationReport) -> Table:
    """One line a kind of device."""
    table = Table(title="By kind")
    table.add_column("kind")
    for heading in ("devices", "made", "acknowledged", "rejected", "outstanding"):
        table.add_column(heading, justify="right")
    for one in report.kinds:
        figures = (one.devices, one.made, one.acknowledged, one.rejected, one.outstanding)
        table.add_row(one.kind, *(f"{figure:,}" for figure in figures))
    return table


def _why_slow(report: SimulationReport) -> str:
    held = report.held_back_s / report.making_s if report.making_s > 0.0 else 0.0
    return (
        f"the rate was NOT kept: for {held:.0%} of the time too much waited for the fleet; else "
        f"this process worked, or waited for a free core (it got {report.processor_share:.0%} of "
        "one)"
    )
