"""`edgewright-fleet whatif`: what a policy would change, before anything is changed."""

from __future__ import annotations

import time

import click

from fleet.choosing.policy import load_policy
from fleet.commands.options import db_option, json_option, policy_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.whatif import report_what_if, what_if_lines, what_if_table
from fleet.store.database import open_database
from fleet.store.roster import devices_named
from fleet.store.whatif import what_if


@click.command()
@click.argument("device_names", metavar="[DEVICE]...", nargs=-1)
@policy_option
@db_option
@json_option
def whatif(
    device_names: tuple[str, ...], policy_name: str, store_url: str, *, as_json: bool
) -> None:
    """Say what each DEVICE (default: all) would be given under another policy.

    It is held against what the devices are desired to run now. Nothing is stored and nothing
    is published; 'apply' with the same policy does it. Devices that stay are counted only.
    """
    policy = load_policy(policy_name)
    database = open_database(store_url, create=False)
    with database.reading() as connection:
        chosen = [one.id for one in devices_named(connection, device_names)]
    found = what_if(database, policy, chosen, now=time.time())
    report = report_what_if(policy.name, sorted(found, key=lambda one: (one.site, one.device)))
    if as_json:
        print_json(report)
        return
    if not report.devices:
        print_lines(["No device has reported yet."])
        return
    print_lines(what_if_lines(report))
    if report.would_change or report.left_alone:
        print_table(what_if_table(report))
