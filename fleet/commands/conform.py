"""`edgewright-fleet conform`: whether a broker does what the wire contract needs."""

from __future__ import annotations

from pathlib import Path

import click

from contract.access import Access
from contract.address import parse_broker_url
from contract.exits import Exit
from fleet.authority.authority import fleet_access
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, broker_option, json_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.conformance.check import Check
from fleet.conformance.kit import examine
from fleet.reports.conformance import conformance_lines, conformance_table


@click.command()
@broker_option
@click.option(
    "--username",
    metavar="NAME",
    help="An account that may use edgewright-conform/#, where the broker asks for one.  "
    "[default: that of the authority, where there is TLS]",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the password of that account.",
)
@click.option(
    "--timeout",
    "timeout_s",
    type=FiniteRange(min=0.5),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long one thing is waited for.",
)
@authority_option
@json_option
def conform(
    broker_url: str,
    username: str | None,
    password_file: Path | None,
    timeout_s: float,
    authority_folder: Path,
    *,
    as_json: bool,
) -> None:
    """Try on the broker what agents and collectors need of it, and say what it lacks.

    Works with real clients under topics of its own, edgewright-conform/..., which no collector
    listens to, and clears up behind itself; a fleet on the same broker is not disturbed. Exit
    code 1 says that something required failed; what is optional is present or absent.
    """
    address = parse_broker_url(broker_url)
    access = fleet_access(address, authority_folder)
    if username is not None:
        access = Access(ca_file=access.ca_file, username=username, password_file=password_file)
    found = examine(address, access, timeout_s=timeout_s, on_check=_say)
    if as_json:
        print_json(found)
    else:
        print_table(conformance_table(found))
        print_lines(["", *conformance_lines(found)])
    if not found.conforms:
        raise SystemExit(int(Exit.FAILED))


def _say(check: Check) -> None:
    print_lines([f"{check.name}: {check.asks} ..."], err=True)
