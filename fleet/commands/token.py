"""`edgewright-fleet token`: who may use the API."""

from __future__ import annotations

import sys
import time

import click

from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.table import tokens_table
from fleet.store.database import open_database
from fleet.store.tokens import Role, create_token, list_tokens, revoke_token


@click.group()
def token() -> None:
    """Tokens of 'edgewright-fleet api', each with a name and a role."""


@token.command()
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([one.value for one in Role]),
    default=Role.READ.value,
    show_default=True,
    help="operate may also apply recommendations, change groups and replay messages.",
)
@click.option("--days", type=click.IntRange(min=1), help="Void after so many.  [default: never]")
@db_option
def create(name: str, role: str, days: int | None, store_url: str) -> None:
    """Make a token called NAME and print it, this once.

    The store keeps a hash of it. Clients show it as 'Authorization: Bearer TOKEN'.
    """
    # As `serve` does: a token may be made before the first device has reported.
    with open_database(store_url, create=True).writing() as connection:
        made = create_token(connection, name, Role(role), days=days, now=time.time())
    print_lines([made])
    if sys.stdout.isatty():
        print_lines(["Keep it where only its user can read; it is not shown again."], err=True)


@token.command("list")
@db_option
@json_option
def list_command(store_url: str, *, as_json: bool) -> None:
    """List the tokens by name; the tokens themselves are kept nowhere."""
    with open_database(store_url, create=False).reading() as connection:
        found = list_tokens(connection)
    if as_json:
        print_json(found)
    elif found:
        print_table(tokens_table(found, now=time.time()))
    else:
        print_lines(["There is no token."])


@token.command()
@click.argument("name")
@db_option
def revoke(name: str, store_url: str) -> None:
    """Void the token called NAME, from the next request on."""
    with open_database(store_url, create=False).writing() as connection:
        revoke_token(connection, name)
    print_lines([f"Token {name} is void."])
