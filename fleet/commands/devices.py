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
from fleet.reports.telling import broker_line, identity_lines
from fleet.store.broker_load import broker_behind
from fleet.store.database import open_database
from fleet.store.roster import Which, expect_some, page_of_devices

#: A broker that kept up for a day is not worth a word any more.
_TOLD_FOR_S = 86_400.0


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
    now = time.time()
    with open_database(store_url, create=False).reading() as connection:
        chosen = page_of_devices(connection, after=None, limit=limit, which=which)
        if not chosen:
            expect_some(connection, which)
        rows = report_devices(connection, chosen, now=now)
        behind = broker_behind(connection, since=now - _TOLD_FOR_S)
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
    if behind is not None:
        # Of the fleet as a whole: no row of the table, and no part of the list for programs.
        print_lines(["", broker_line(behind)], err=as_json)
