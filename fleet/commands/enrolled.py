"""`edgewright-fleet enrolled`: who may connect, and who has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from contract.topics import parse_name
from edgewright.console import Table
from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.commands.options import authority_option, db_option, json_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.table import clock, plain_table
from fleet.store.database import open_database
from fleet.store.roster import list_devices


class AccountReport(msgspec.Struct, frozen=True, kw_only=True):
    """One enrolled device, as `enrolled --json` lists it."""

    site: str
    device: str
    #: Whether the store knows it.
    heard: bool
    #: Seconds since 1970.
    last_seen_at: float | None


@click.command()
@click.option("--unheard", is_flag=True, help="Those that the store has never heard of.")
@authority_option
@db_option
@json_option
def enrolled(authority_folder: Path, store_url: str, *, unheard: bool, as_json: bool) -> None:
    """List the devices that have credentials, and whether the store has heard of them."""
    accounts = Authority.existing(authority_folder).accounts()
    with open_database(store_url, create=False).reading() as connection:
        seen = {one.name: one.last_seen_at for one in list_devices(connection)}
    rows = [
        AccountReport(site=site, device=device, heard=name in seen, last_seen_at=seen.get(name))
        for name in sorted(set(accounts) - {FLEET})
        for site, device in (parse_name(name),)
    ]
    shown = [one for one in rows if not (unheard and one.heard)]
    if as_json:
        print_json(shown)
        return
    if shown:
        print_table(_table(shown))
        print_lines([""])
    count = sum(not one.heard for one in rows)
    print_lines([f"{len(rows):,} enrolled, {count:,} of them never heard of."])


def _table(rows: Sequence[AccountReport]) -> Table:
    table = plain_table("device", "last seen")
    for row in rows:
        table.add_row(f"{row.site}/{row.device}", clock(row.last_seen_at) if row.heard else "never")
    return table
