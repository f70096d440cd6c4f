"""`edgewright-fleet devices`: who is there, and whether all of its results are."""

from __future__ import annotations

import time

import click

from contract.messages import Presence
from fleet.commands.numbers import RowNumber
from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.roster import report_devices
from fleet.reports.table import devices_table
from fleet.reports.telling import identity_lines
from fleet.store.database import open_database
from fleet.store.roster import Which, page_of_devices


@click.command()
@click.option("--site", metavar="SITE", help="Those of one site.")
@click.option("--group", "group_name", metavar="NAME", help="Those in a group.")
@click.option(
    "--presence", type=click.Choice([one.value for one in Presence]), help="Those that are so."
)
@click.option("--incomplete", is_flag=True, help="Those of which results are missing.")
@click.option("--limit", type=RowNumber(), help="At most so many.  [default: all]")
@db_option
@json_option
def devices(
    site: str | None,
    group_name: str | None,
    presence: str | None,
    limit: int | None,
    store_url: str,
    *,
    incomplete: bool,
    as_json: bool,
) -> None:
    """List the devices: presence, completeness of their results, variants."""
    which = Which(
        site=site,
        group=group_name,
        presence=Presence(presence) if presence else None,
        complete=False if incomplete else None,
    )
    with open_database(store_url, create=False).reading() as connection:
        chosen = page_of_devices(connection, after=None, limit=limit, which=which)
        rows = report_devices(connection, chosen, now=time.time())
    if as_json:
        print_json(rows)
    elif rows:
        print_table(devices_table(rows))
        for line in identity_lines(rows):
            print_lines(["", line])
    elif which != Which():
        print_lines(["No device is so."])
    else:
        print_lines(["No device has reported yet."])
