"""`edgewright-fleet policies`: the ready ones, and what is wrong in one's own."""

from __future__ import annotations

import click
from click.core import ParameterSource

from contract.exits import Exit
from fleet.choosing.policy import policy_text, ready_policies, ready_policy_text
from fleet.choosing.policy_document import read_document
from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines, print_text
from fleet.errors import StoreMissingError
from fleet.reports.policy_check import check_lines, check_policy
from fleet.store.database import open_database
from fleet.store.roster import group_names, list_devices


class _Policies(click.Group):
    """Takes the name of a ready policy where a command would stand."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["show", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Policies, invoke_without_command=True, subcommand_metavar="[NAME | check FILE]")
@click.pass_context
def policies(context: click.Context) -> None:
    """List the ready policies, or print the TOML of the one called NAME."""
    if context.invoked_subcommand is None:
        print_lines(ready_policies())


@policies.command(hidden=True)
@click.argument("name")
def show(name: str) -> None:
    """Print the TOML of the ready policy called NAME."""
    print_text(ready_policy_text(name))


@policies.command()
@click.argument("name_or_file", metavar="FILE")
@db_option
@json_option
@click.pass_context
def check(context: click.Context, name_or_file: str, store_url: str, *, as_json: bool) -> None:
    """Say all that is wrong in a policy's FILE, or which terms it sets for whom.

    Where there is a store, sites, groups and devices that it does not know are warned of. The
    exit code is 1 where something is wrong; warnings leave it at 0.
    """
    text, source = policy_text(name_or_file)
    source_of_url = context.get_parameter_source("store_url")
    known = _known_names(store_url, is_asked=source_of_url is not ParameterSource.DEFAULT)
    checked = check_policy(read_document(text, source=source), source=source, known=known)
    if as_json:
        print_json(checked)
    else:
        print_lines(check_lines(checked))
    if checked.mistakes:
        raise SystemExit(int(Exit.FAILED))


def _known_names(store_url: str, *, is_asked: bool) -> dict[str, set[str]]:
    """Names of each kind in the store; none where nobody named a store and there is none."""
    try:
        with open_database(store_url, create=False).reading() as connection:
            devices = list_devices(connection)
            return {
                "site": {one.site for one in devices},
                "group": group_names(connection),
                "device": {one.name for one in devices},
            }
    except StoreMissingError:
        if is_asked:
            raise
        return {}
