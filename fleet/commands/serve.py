"""`edgewright-fleet serve`: the collector until somebody ends it."""

from __future__ import annotations

import logging
import signal
import threading
from pathlib import Path

import click
from click.core import ParameterSource

from contract.address import BrokerAddress, parse_broker_url
from fleet.address import parse_http_address, parse_listen_address
from fleet.collecting.service import Ready, ServiceOptions, run_service
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, db_option, log_format_option, policy_option
from fleet.commands.printing import print_lines
from fleet.garbage import expect_many_objects
from fleet.jetstream.servers import parse_servers
from fleet.logs import LogFormat, set_up_logging


@click.command()
@click.option(
    "--broker",
    "broker_url",
    envvar="EDGEWRIGHT_BROKER",
    metavar="URL",
    help="Use the broker at mqtt[s]://HOST:PORT instead of bringing one.  [env: EDGEWRIGHT_BROKER, "
    "where --listen is not given]",
)
@click.option(
    "--listen",
    default="127.0.0.1:1883",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the broker that comes along listens; off loopback with TLS and accounts. "
    "Port 0 takes any.",
)
@click.option(
    "--shared",
    is_flag=True,
    help="Share the results with other collectors on the same --broker and the same PostgreSQL: "
    "the broker gives each result to one of them (MQTT 5 shared subscriptions).",
)
@click.option(
    "--jetstream",
    "stream_servers",
    metavar="URL[,URL...]",
    help="Share the results by a stream of the NATS cluster at nats|tls://HOST:PORT whose MQTT "
    "gateway is --broker: each is kept there until one of the collectors has stored it.",
)
@click.option(
    "--keep-samples",
    "keep_samples_days",
    type=FiniteRange(min=0),
    metavar="DAYS",
    help="Roll raw samples up after so many days, beside collecting, as 'edgewright-fleet retain' "
    "does.  [default: keep them]",
)
@click.option(
    "--metrics",
    metavar="HOST:PORT",
    help="Answer Prometheus at /metrics there, on loopback: what this collector counts.  "
    "[default: nowhere]",
)
@policy_option
@authority_option
@db_option
@log_format_option
@click.option("-v", "--verbose", is_flag=True, help="Log every stored batch.")
@click.pass_context
def serve(
    context: click.Context,
    *,
    broker_url: str | None,
    listen: str,
    stream_servers: str | None,
    keep_samples_days: float | None,
    authority_folder: Path,
    store_url: str,
    log_format: LogFormat,
    policy_name: str,
    metrics: str | None,
    shared: bool,
    verbose: bool,
) -> None:
    """Run the collector until SIGTERM or Ctrl-C.

    Validates what devices send, stores it, and only then acknowledges it. Prints one line
    'ready broker=... store=...' as soon as messages arrive; logs go to standard error.

    Devices are decided on under --policy as their results come; an edited file of it holds from
    then on. Any other policy can be asked for all the same.

    On 127.0.0.1 the broker is open to everybody on this machine. On any other address, such
    as 0.0.0.0:8883, it speaks TLS alone and lets in who was enrolled ('edgewright-fleet
    enroll'), each device to its own topics. To other commands it is --broker
    mqtts://localhost:8883 then.
    """
    _set_up_logging(log_format, verbose=verbose)
    options = ServiceOptions(
        store_url=store_url,
        broker=_named_broker(context, broker_url),
        listen=parse_listen_address(listen),
        authority=authority_folder,
        shared=shared,
        policy=policy_name,
        jetstream=parse_servers(stream_servers) if stream_servers else None,
        keep_samples_days=keep_samples_days,
        log_format=log_format,
        metrics=parse_http_address(metrics) if metrics else None,
    )
    expect_many_objects()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run_service(options, stop=stop, on_ready=_say_ready)


def _named_broker(context: click.Context, url: str | None) -> BrokerAddress | None:
    """The broker to use; None: bring one. What was typed counts more than a variable."""
    typed = ParameterSource.COMMANDLINE
    if context.get_parameter_source("listen") is typed:
        if context.get_parameter_source("broker_url") is typed:
            message = "expected one of --broker and --listen: the broker there, or one of its own"
            raise click.UsageError(message)
        return None
    return parse_broker_url(url) if url else None


def _set_up_logging(log_format: LogFormat, *, verbose: bool) -> None:
    set_up_logging(
        log_format, level=logging.WARNING, fleet_level=logging.DEBUG if verbose else logging.INFO
    )
    # Who sends amqtt what is no MQTT is told of in lines of our own.
    logging.getLogger("amqtt").setLevel(logging.WARNING if verbose else logging.ERROR)


def _say_ready(ready: Ready) -> None:
    more = f" metrics={ready.metrics}/metrics" if ready.metrics else ""
    print_lines([f"ready broker={ready.broker} store={ready.store_url}{more}"])
