"""`edgewright-fleet apply`: recommendations become desired states."""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import click

from contract.address import parse_broker_url
from contract.exits import Exit
from fleet.authority.authority import fleet_access
from fleet.choosing.policy import load_policy
from fleet.commands.options import (
    authority_option,
    broker_option,
    db_option,
    json_option,
    policy_option,
)
from fleet.commands.printing import print_json, print_lines
from fleet.errors import FleetError
from fleet.mqtt.short_connection import publish_once
from fleet.reports.telling import rollout_lines
from fleet.store.database import open_database
from fleet.store.recommendation import recommend
from fleet.store.rollout import roll_out
from fleet.store.roster import devices_named

_PUBLISH_PATIENCE_S = 10.0


@click.command("apply")
@click.argument("device_names", metavar="[DEVICE]...", nargs=-1)
@policy_option
@broker_option
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@authority_option
@db_option
@json_option
def apply_command(
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
    database = open_database(store_url, create=False)
    policy, now = load_policy(policy_name), time.time()
    with database.reading() as connection:
        chosen = [one.id for one in devices_named(connection, device_names)]
    found = recommend(database, policy, chosen, now=now)
    with database.writing() as connection:
        rollouts = roll_out(connection, found, now=now, dry_run=dry_run)
    wanted = [rollout.desired for rollout in rollouts if rollout.desired is not None]
    if wanted and not dry_run:
        try:
            publish_once(
                address,
                wanted,
                access=fleet_access(address, authority_folder),
                client_name=f"edgewright-apply-{uuid.uuid4().hex[:12]}",
                timeout_s=_PUBLISH_PATIENCE_S,
            )
        except FleetError:
            said = (
                "The desired states are stored; 'serve' publishes them within ten seconds, or as "
                "it connects."
            )
            print_lines([said], err=True)
            raise
    if as_json:
        print_json(rollouts)
    else:
        print_lines(rollout_lines(rollouts, dry_run=dry_run))
    left_alone = [rollout for rollout in rollouts if rollout.desired is None]
    if not wanted or (device_names and left_alone):
        raise SystemExit(int(Exit.FAILED))
