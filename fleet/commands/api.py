"""`edgewright-fleet api`: the fleet over HTTP until somebody ends it."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import click

from contract.address import parse_broker_url
from fleet.address import parse_http_address
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import (
    authority_option,
    broker_option,
    db_option,
    log_format_option,
    refuse_unused,
)
from fleet.commands.printing import print_lines
from fleet.logs import LogFormat, set_up_logging

_HOUR_S = 3600.0


@click.command()
@click.option(
    "--listen",
    default="127.0.0.1:8080",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to answer; off loopback with TLS, and only who shows a token. Port 0 takes any.",
)
@click.option(
    "--tls-cert",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Certificate (PEM, with its chain).  [default: off loopback that of the --authority]",
)
@click.option(
    "--tls-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Its private key (PEM).  [default: in the file of the certificate]",
)
@click.option(
    "--tokens-only",
    is_flag=True,
    help="On loopback too, answer only who shows a token: such as behind a proxy.",
)
@click.option(
    "--policies",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Offer each NAME.toml in it as the policy NAME, beside the ready ones.",
)
@click.option(
    "--stale-after-hours",
    type=FiniteRange(min=0, min_open=True),
    default=24.0,
    show_default=True,
    help="A device that was silent for so long counts as stale in /metrics.",
)
@broker_option
@authority_option
@db_option
@log_format_option
@click.option("-v", "--verbose", is_flag=True, help="Log every request.")
@click.pass_context
def api(
    context: click.Context,
    *,
    listen: str,
    tls_cert: Path | None,
    tls_key: Path | None,
    policies: Path | None,
    stale_after_hours: float,
    broker_url: str,
    authority_folder: Path,
    store_url: str,
    log_format: LogFormat,
    tokens_only: bool,
    verbose: bool,
) -> None:
    """Answer over HTTP under /api/v1 until SIGTERM or Ctrl-C, and at /metrics for Prometheus.

    A process of its own beside 'serve', on the same store. /api/v1/openapi.json describes it.
    Prints one line 'ready http=... store=...'; logs go to standard error.

    On 127.0.0.1 everybody on this machine may read. What changes something needs a token of
    the role operate ('edgewright-fleet token create'); on any other address everything does.
    """
    if tls_cert is None:
        refuse_unused(context, {"tls_key"}, "without --tls-cert")
    # It takes half a second to import, which no other command should.
    from fleet.api.server import ApiOptions, run_api  # noqa: PLC0415 - see above

    set_up_logging(
        log_format, level=logging.WARNING, fleet_level=logging.DEBUG if verbose else logging.INFO
    )
    options = ApiOptions(
        store_url=store_url,
        listen=parse_http_address(listen),
        broker=parse_broker_url(broker_url),
        authority=authority_folder,
        tls_cert=tls_cert,
        tls_key=tls_key,
        policies=policies,
        tokens_only=tokens_only,
        stale_after_s=stale_after_hours * _HOUR_S,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        # The server has its own while it runs, and then raises the signal once more.
        signal.signal(number, lambda *_: None)
    run_api(options, on_ready=_say_ready)


def _say_ready(url: str, store: str) -> None:
    print_lines([f"ready http={url} store={store}"])
