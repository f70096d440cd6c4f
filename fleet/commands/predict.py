"""`edgewright-fleet predict`: what devices would measure, and what they should measure next."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import click

from fleet.choosing.policy import load_policy
from fleet.commands.options import db_option, json_option, policy_option
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.errors import MissingExtraError
from fleet.predicting.forecast import Forecast
from fleet.reports.forecast import forecast_lines, forecasts_table, predictions_table
from fleet.store.database import open_database
from fleet.store.records import Peers, peers_of
from fleet.store.roster import devices_named


@click.command()
@click.argument("device_names", metavar="[DEVICE]...", nargs=-1)
@policy_option
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the chances."
)
@db_option
@json_option
def predict(
    device_names: tuple[str, ...], policy_name: str, seed: int, store_url: str, *, as_json: bool
) -> None:
    """Predict what each DEVICE (default: all) has not measured, from devices like it.

    Says which variants to measure next: those that would change the choice under the policy.
    Predicted figures are for that alone, and never make a variant recommended. Needs the extra
    'predict'.
    """
    policy = load_policy(policy_name)
    database = open_database(store_url, create=False)
    with database.reading() as connection:
        asked = devices_named(connection, device_names)
    found = _forecasts(peers_of(database, asked, policy, now=time.time()), seed)
    forecasts = sorted(found, key=lambda one: (one.site, one.device))
    if as_json:
        print_json(forecasts)
        return
    if not forecasts:
        print_lines(["No device has reported yet."])
        return
    if not device_names:
        print_table(forecasts_table(forecasts))
        return
    for one in forecasts:
        print_lines(forecast_lines(one))
        if one.predictions:
            print_table(predictions_table(one))


def _forecasts(peers: Sequence[Peers], seed: int) -> Iterator[Forecast]:
    try:
        # Of an extra, and a second to import.
        from fleet.predicting.fleet_model import learn_fleet  # noqa: PLC0415 - likewise
        from fleet.predicting.forecasting import forecast, metrics_of  # noqa: PLC0415 - likewise
    except ModuleNotFoundError as error:
        message = f"predicting needs the package {error.name}: pip install 'edgewright[predict]'"
        raise MissingExtraError(message) from error
    for alike in peers:
        wanted = {metric for terms in alike.asked.values() for metric in metrics_of(terms)}
        fleet = learn_fleet(alike.records, wanted)
        for row, terms in alike.asked.items():
            yield forecast(fleet, row, terms, seed=seed)
