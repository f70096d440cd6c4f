"""`edgewright-fleet explain`: a decision in words."""

from __future__ import annotations

import time

import click

from fleet.choosing.policy import load_policy
from fleet.commands.numbers import RowNumber
from fleet.commands.options import db_option, json_option, policy_option, refuse_unused
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.reports.report import ExplanationReport, report_explanation
from fleet.reports.table import candidates_table
from fleet.reports.telling import explanation_lines
from fleet.store.database import open_database
from fleet.store.recommendation import find_decision, recommend
from fleet.store.roster import devices_named


@click.command()
@click.argument("device_name", metavar="[DEVICE]", required=False)
@policy_option
@click.option(
    "--decision",
    type=RowNumber(),
    metavar="NUMBER",
    help="A stored decision, by its decision_id.",
)
@db_option
@json_option
@click.pass_context
def explain(
    context: click.Context,
    device_name: str | None,
    policy_name: str,
    decision: int | None,
    store_url: str,
    *,
    as_json: bool,
) -> None:
    """Explain the recommendation for DEVICE, or any decision that was ever stored.

    A decision is made once more from the runs that it rests on, which stay as they are, and
    comes out as it did then.
    """
    if (device_name is None) == (decision is None):
        message = "expected DEVICE, or --decision NUMBER, and not both"
        raise click.UsageError(message)
    if decision is not None:
        refuse_unused(context, {"policy_name"}, "with --decision, which was made under its own")
    database = open_database(store_url, create=False)
    if decision is not None:
        with database.reading() as connection:
            found = find_decision(connection, decision)
    else:
        policy = load_policy(policy_name)
        with database.reading() as connection:
            (device,) = devices_named(connection, [device_name or ""])
        (found,) = recommend(database, policy, [device.id], now=time.time())
    document = report_explanation(found)
    if as_json:
        print_json(document)
    else:
        _print_explanation(found.name, document)


def _print_explanation(name: str, document: ExplanationReport) -> None:
    print_lines(explanation_lines(name, document))
    if document.candidates:
        print_lines([""])
        print_table(candidates_table(document.candidates))
