"""The command line `edgewright-fleet`; the only place here that prints or exits."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator

import click

from contract.exits import Exit
from fleet.address import BrokerAddress, parse_broker_url, parse_listen_address
from fleet.database import default_url
from fleet.errors import AddressError, FleetError, PolicyError, UnknownDeviceError
from fleet.service import Ready, ServiceOptions, run_service


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Collect what devices measure, and pick the best variant for each of them."""


@cli.command()
@click.option("--broker")
@click.option("--listen", default="127.0.0.1:1883")
@click.option("--db")
def serve(broker: str | None, listen: str, db: str | None) -> None:
    logging.basicConfig(level=logging.INFO)
    options = ServiceOptions(
        store_url=db or default_url(dict(os.environ)),
        broker=parse_broker_url(broker) if broker else None,
        listen=parse_listen_address(listen),
    )
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_service(options, stop=stop, on_ready=lambda r: click.echo(f"ready broker={r.broker} db={r.store_url}"))


def main() -> None:
    cli()
