"""`edgewright-fleet results`: what one device measured."""

from __future__ import annotations

import click

from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.report import report_result
from fleet.reports.table import distributions_table, results_table
from fleet.store.database import open_database
from fleet.store.distribution import distributions_of
from fleet.store.evidence import runs_of
from fleet.store.roster import devices_named


@click.command()
@click.argument("device_name", metavar="DEVICE")
@click.option(
    "--distribution",
    "with_distribution",
    is_flag=True,
    help="Show what the latencies of each run were like, by their samples or their roll-up.",
)
@db_option
@json_option
def results(device_name: str, store_url: str, *, with_distribution: bool, as_json: bool) -> None:
    """List every stored run of DEVICE ('site/device', or 'device' where that is unambiguous)."""
    database = open_database(store_url, create=False)
    with database.reading() as connection:
        (device,) = devices_named(connection, [device_name])
        runs = runs_of(connection, device)
        known = distributions_of(connection, device.id) if with_distribution else None
    if as_json:
        print_json([report_result(device, one, known) for one in runs])
    elif runs:
        table = results_table(runs) if known is None else distributions_table(runs, known)
        print_table(table)
    else:
        print_lines([f"{device.name} has no stored run yet."])
