"""The command line `edgewright-fleet`; the only place here that prints or exits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from contract.address import parse_broker_url
from contract.errors import BrokerUrlError, TopicError
from contract.exits import Exit
from contract.messages import Presence
from fleet.authority.authority import fleet_access
from fleet.choosing.decision import Status
from fleet.choosing.policy import load_policy
from fleet.commands.api import api
from fleet.commands.ask import ask_command
from fleet.commands.backup import backup, restore_command
from fleet.commands.broker_config import broker_config
from fleet.commands.conform import conform
from fleet.commands.deploy import deploy
from fleet.commands.enroll import enroll, revoke
from fleet.commands.export import export
from fleet.commands.group import group
from fleet.commands.options import (
    authority_option,
    broker_option,
    db_option,
    json_option,
    policy_option,
)
from fleet.commands.policies import policies
from fleet.commands.predict import predict
from fleet.commands.printing import console, print_json
from fleet.commands.quarantine import quarantine
from fleet.commands.retain import retain
from fleet.commands.serve import serve
from fleet.commands.simulate import simulate
from fleet.commands.token import token
from fleet.commands.whatif import whatif
from fleet.errors import (
    AddressError,
    FleetError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
)
from fleet.mqtt.link import publish_once
from fleet.reports.report import (
    ExplanationReport,
    report_explanation,
    report_recommendation,
    report_result,
)
from fleet.reports.roster import report_devices
from fleet.reports.table import (
    candidates_table,
    devices_table,
    distributions_table,
    recommendations_table,
    results_table,
)
from fleet.reports.telling import explanation_lines, identity_lines, rollout_lines
from fleet.store.database import Database, open_database
from fleet.store.distribution import distributions_of
from fleet.store.evidence import runs_of
from fleet.store.recommendation import Recommendation, find_decision, finding, recommend
from fleet.store.rollout import roll_out
from fleet.store.roster import Which, devices_named, find_device, list_devices, page_of_devices

_WRONG_USE = (
    AddressError,
    BrokerUrlError,
    OrderError,
    PlanError,
    PolicyError,
    TokenError,
    TopicError,
    UnknownDecisionError,
    UnknownDeviceError,
    UnknownMessageError,
)
_PUBLISH_PATIENCE_S = 10.0


class _Group(click.Group):
    """Turns the fleet's errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        try:
            return super().invoke(ctx)
        except _WRONG_USE as error:
            _fail(error, Exit.WRONG_USE)
        except FleetError as error:
            _fail(error, Exit.FAILED)


def _fail(error: Exception, code: Exit) -> NoReturn:
    click.echo(f"edgewright-fleet: {error}", err=True)
    raise SystemExit(int(code))


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Collect what devices measure, and pick the best variant for each of them.

    Exit codes: 0 done, 1 failed, 2 wrong use. A nearest miss is an answer, not a failure.
    """


for _command in (
    api,
    serve,
    enroll,
    revoke,
    deploy,
    broker_config,
    conform,
    ask_command,
    whatif,
    predict,
    quarantine,
    group,
    policies,
    simulate,
    retain,
    backup,
    restore_command,
    export,
    token,
):
    cli.add_command(_command)


@cli.command()
@click.option("--site", metavar="SITE", help="Those of one site.")
@click.option("--group", "group_name", metavar="NAME", help="Those in a group.")
@click.option(
    "--presence", type=click.Choice([one.value for one in Presence]), help="Those that are so."
)
@click.option("--incomplete", is_flag=True, help="Those of which results are missing.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many.  [default: all]")
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
    with _open(store_url).reading() as connection:
        chosen = page_of_devices(connection, after=None, limit=limit, which=which)
        rows = report_devices(connection, chosen, now=time.time())
    if as_json:
        print_json(rows)
    elif rows:
        out = console()
        out.print(devices_table(rows))
        for line in identity_lines(rows):
            out.print(f"\n{line}", markup=False, highlight=False)
    elif which != Which():
        console().print("No device is so.")
    else:
        console().print("No device has reported yet.")


@cli.command()
@click.argument("device_name", metavar="DEVICE")
@click.option(
    "--distribution",
    "with_distribution",
    is_flag=True,
    help="Show what the latencies of each run were like, by their samples or their roll-up.",
)
@db_option
@json_option
def results(device_name: str, store_url: str, *, with_distribution: bool, as_json: bool) -> None:
    """List every stored run of DEVICE ('site/device', or 'device' where that is unambiguous)."""
    database = _open(store_url)
    with database.reading() as connection:
        device = find_device(list_devices(connection), device_name)
        runs = runs_of(connection, device)
        known = distributions_of(connection, device.id) if with_distribution else None
    if as_json:
        print_json([report_result(device, one, known) for one in runs])
    elif runs:
        table = results_table(runs) if known is None else distributions_table(runs, known)
        console().print(table)
    else:
        console().print(f"{device.name} has no stored run yet.")


@cli.command()
@policy_option
@db_option
@json_option
def recommendations(policy_name: str, store_url: str, *, as_json: bool) -> None:
    """Recommend a variant for every device, and say why.

    Where nothing is within a device's limits, the nearest miss and the violated limits are
    named; the exit code is 0 all the same.
    """
    found = _recommend(_open(store_url), policy_name, [])
    rows = [report_recommendation(one) for one in found]
    if as_json:
        print_json(rows)
        return
    out = console()
    if not rows:
        out.print("No device has reported yet.")
        return
    out.print(recommendations_table(rows))
    said = finding(row.variant for row in rows if row.variant and row.status is Status.CHOSEN)
    if said:
        out.print(f"\n{said}", highlight=False)


@cli.command()
@click.argument("device_name", metavar="[DEVICE]", required=False)
@policy_option
@click.option(
    "--decision",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="A stored decision, by its decision_id.",
)
@db_option
@json_option
def explain(
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
        message = "expected DEVICE, or --decision NUMBER"
        raise click.UsageError(message)
    database = _open(store_url)
    if decision is not None:
        with database.reading() as connection:
            found = find_decision(connection, decision)
    else:
        (found,) = _recommend(database, policy_name, [device_name or ""])
    document = report_explanation(found)
    if as_json:
        print_json(document)
    else:
        _print_explanation(found.name, document)


@cli.command()
@click.argument("device_names", metavar="[DEVICE]...", nargs=-1)
@policy_option
@broker_option
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@authority_option
@db_option
@json_option
def apply(
    device_names: tuple[str, ...],
    policy_name: str,
    broker_url: str,
    authority_folder: Path,
    store_url: str,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the recommendation of each DEVICE (default: of all) its desired state.

    Devices without a variant within their limits are left alone; where DEVICE names one of
    those, or none is left, the exit code is 1.
    """
    address = parse_broker_url(broker_url)
    database = _open(store_url)
    found = _recommend(database, policy_name, device_names)
    now = time.time()
    with database.writing() as connection:
        rollouts = roll_out(connection, found, now=now, dry_run=dry_run)
    wanted = [rollout.desired for rollout in rollouts if rollout.desired is not None]
    if wanted and not dry_run:
        try:
            publish_once(
                address,
                wanted,
                access=fleet_access(address, authority_folder),
                client_id=f"edgewright-apply-{uuid.uuid4().hex[:12]}",
                timeout_s=_PUBLISH_PATIENCE_S,
            )
        except FleetError:
            click.echo(
                "The desired states are stored; 'serve' publishes them as it connects.", err=True
            )
            raise
    if as_json:
        print_json(rollouts)
    else:
        click.echo("\n".join(rollout_lines(rollouts, dry_run=dry_run)))
    left_alone = [rollout for rollout in rollouts if rollout.desired is None]
    if not wanted or (device_names and left_alone):
        raise SystemExit(int(Exit.FAILED))


def main() -> None:
    """Entry point; exits the process."""
    cli(prog_name="edgewright-fleet")


def _open(store_url: str) -> Database:
    return open_database(store_url, create=False)


def _recommend(
    database: Database,
    policy_name: str,
    device_names: Sequence[str],
) -> list[Recommendation]:
    policy = load_policy(policy_name)
    with database.reading() as connection:
        chosen = [one.id for one in devices_named(connection, device_names)]
    return recommend(database, policy, chosen, now=time.time())


def _print_explanation(name: str, document: ExplanationReport) -> None:
    out = console()
    out.print("\n".join(explanation_lines(name, document)), markup=False, highlight=False)
    if document.candidates:
        out.print()
        out.print(candidates_table(document.candidates))
