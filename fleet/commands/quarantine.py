"""`edgewright-fleet quarantine`: what was refused, in full, and once more."""

from __future__ import annotations

import sys
import time

import click

from contract.exits import Exit
from fleet.collecting.replay import replay
from fleet.commands.numbers import RowNumber
from fleet.commands.options import db_option, json_option, refuse_unused
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.errors import UnknownMessageError
from fleet.reports.table import quarantine_table
from fleet.store.database import open_database
from fleet.store.quarantine import find_quarantined, list_quarantine, payload_of


@click.group(invoke_without_command=True)
@click.option(
    "--limit",
    type=RowNumber(),
    default=50,
    show_default=True,
    help="At most this many, newest first.",
)
@db_option
@json_option
@click.pass_context
def quarantine(context: click.Context, limit: int, store_url: str, *, as_json: bool) -> None:
    """List messages that were refused, and why; 'show' and 'replay' take their numbers."""
    context.obj = store_url
    if context.invoked_subcommand is not None:
        where = f"before '{context.invoked_subcommand}'"
        refuse_unused(context, {"limit", "as_json"}, where)
        return
    with open_database(store_url, create=False).reading() as connection:
        rows = list_quarantine(connection, limit=limit)
    if as_json:
        print_json(rows)
    elif rows:
        print_table(quarantine_table(rows))
    else:
        print_lines(["Nothing was refused."])


@quarantine.command()
@click.argument("number", type=RowNumber())
@click.option("--raw", is_flag=True, help="Print the message's bytes as they came, and no more.")
@db_option
@json_option
@click.pass_context
def show(context: click.Context, number: int, store_url: str, *, raw: bool, as_json: bool) -> None:
    """Show the refused message NUMBER in full, as far as it was kept (256 KiB)."""
    if raw:
        refuse_unused(context, {"as_json"}, "with --raw")
    with open_database(store_url, create=False).reading() as connection:
        found = find_quarantined(connection, number)
        payload = payload_of(connection, number)
    if raw:
        if sys.stdout.isatty():
            message = "--raw: a terminal may act on these bytes; redirect them, or leave --raw out"
            raise click.UsageError(message)
        sys.stdout.buffer.write(payload)
        return
    text = payload.decode("utf-8", errors="backslashreplace")
    if as_json:
        print_json({"message": found, "payload": text})
        return
    print_lines([f"topic   {found.topic}", f"reason  {found.reason}"])
    times = "once" if found.times == 1 else f"{found.times} times"
    print_lines([f"came    {times}, {found.payload_bytes} bytes", ""])
    print_lines([text], most=None)


@quarantine.command("replay")
@click.argument("numbers", metavar="[NUMBER]...", type=RowNumber(), nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that is in quarantine.")
@db_option
@json_option
def replay_command(numbers: tuple[int, ...], store_url: str, *, every: bool, as_json: bool) -> None:
    """Read refused messages once more, and store what is accepted now.

    Such as after an upgrade that knows a newer kind of message. What is accepted leaves the
    quarantine; the rest stays, with its reason. The exit code is 1 where any stays.
    """
    if every == bool(numbers):
        message = "expected NUMBERs as 'edgewright-fleet quarantine' lists them, or --all"
        raise UnknownMessageError(message)
    replayed = replay(
        open_database(store_url, create=False), None if every else numbers, now=time.time()
    )
    if as_json:
        print_json(replayed)
    for one in [] if as_json else replayed:
        told = "stored" if one.problem is None else f"stays: {one.problem}"
        print_lines([f"{one.number}: {told}"])
    if any(one.problem is not None for one in replayed):
        raise SystemExit(int(Exit.FAILED))
