"""`edgewright-fleet group`: which devices an operator counts together."""

from __future__ import annotations

import click

from contract.exits import Exit
from edgewright.terminal import CELL_CHARACTERS, visible
from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines
from fleet.reports.telling import group_lines
from fleet.store.database import open_database
from fleet.store.groups import add_to_group, members_of_each, remove_from_group
from fleet.store.roster import devices_named, list_devices


@click.group()
def group() -> None:
    """Groups of devices, for which a policy may have limits of their own.

    Beside these, a device is in the groups that its agent's configuration names.
    """


@group.command()
@click.argument("name")
@click.argument("device_names", metavar="DEVICE...", nargs=-1, required=True)
@db_option
def add(name: str, device_names: tuple[str, ...], store_url: str) -> None:
    """Put each DEVICE into the group NAME, which is made where it is new."""
    with open_database(store_url, create=False).writing() as connection:
        chosen = devices_named(connection, device_names)
        add_to_group(connection, name, chosen)
    print_lines([f"In group {_cut(name)}: {', '.join(one.name for one in chosen)}"], most=None)


@group.command()
@click.argument("name")
@click.argument("device_names", metavar="DEVICE...", nargs=-1, required=True)
@db_option
def remove(name: str, device_names: tuple[str, ...], store_url: str) -> None:
    """Take each DEVICE out of the group NAME.

    A device that tells of the group itself stays in it. The exit code is 1 where one stays, or
    was not in it.
    """
    with open_database(store_url, create=False).writing() as connection:
        chosen = devices_named(connection, device_names)
        found = remove_from_group(connection, name, chosen)
    gone = [one.name for one in found.gone]
    if gone:
        print_lines([f"No longer in group {_cut(name)}: {', '.join(gone)}"], most=None)
    for one in found.stay:
        print_lines([f"{one.name} stays: its own agent.toml names the group {name}"], err=True)
    for one in found.strangers:
        print_lines([f"{one.name} was not in the group {_cut(name)}"], err=True)
    if found.stay or found.strangers:
        raise SystemExit(int(Exit.FAILED))


@group.command("list")
@db_option
@json_option
def list_groups(store_url: str, *, as_json: bool) -> None:
    """List the groups and the devices in each: the first ten, and how many more; --json has all."""
    with open_database(store_url, create=False).reading() as connection:
        members = members_of_each(connection, list_devices(connection))
    if as_json:
        print_json([{"group": name, "devices": names} for name, names in members.items()])
        return
    print_lines(group_lines(members) or ["No device is in a group."], most=None)


def _cut(name: str) -> str:
    """Name of a group, as a cell shows it: an inventory may bring one of any length."""
    return visible(name, CELL_CHARACTERS)
