"""`edgewright-fleet recommendations`: what suits each device."""

from __future__ import annotations

import time

import click

from fleet.choosing.decision import Status
from fleet.choosing.policy import load_policy
from fleet.commands.numbers import RowNumber
from fleet.commands.options import db_option, json_option, policy_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.report import report_recommendation
from fleet.reports.table import recommendations_table
from fleet.store.database import open_database
from fleet.store.recommendation import finding, recommend
from fleet.store.roster import Which, expect_some, page_of_devices


@click.command()
@click.option("--site", metavar="SITE", help="For the devices of one site.")
@click.option("--group", "group_name", metavar="NAME", help="For those in a group.")
@click.option("--limit", type=RowNumber(), help="For at most so many.  [default: all]")
@policy_option
@db_option
@json_option
def recommendations(
    site: str | None,
    group_name: str | None,
    limit: int | None,
    policy_name: str,
    store_url: str,
    *,
    as_json: bool,
) -> None:
    """Recommend a variant for every device, and say why.

    Where nothing is within a device's limits, the nearest miss and the violated limits are
    named; the exit code is 0 all the same.
    """
    policy = load_policy(policy_name)
    database = open_database(store_url, create=False)
    which = Which(site=site, group=group_name)
    with database.reading() as connection:
        chosen = page_of_devices(connection, after=None, limit=limit, which=which)
        if not chosen:
            expect_some(connection, which)
    found = recommend(database, policy, [one.id for one in chosen], now=time.time())
    rows = [report_recommendation(one) for one in found]
    if as_json:
        print_json(rows)
        return
    if not rows:
        print_lines(["No device has reported yet." if which == Which() else "No device is so."])
        return
    print_table(recommendations_table(rows))
    said = finding(row.variant for row in rows if row.variant and row.status is Status.CHOSEN)
    if said:
        print_lines(["", said])
