"""`edgewright-fleet conform`: whether a broker does what the wire contract needs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import click

from contract.access import Access, username_of
from contract.address import BrokerAddress, parse_broker_url
from contract.exits import Exit
from contract.topics import parse_name
from fleet.authority.authority import fleet_access
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, broker_option, json_option, refuse_unused
from fleet.commands.printing import print_json, print_lines, print_table
from fleet.conformance.check import Check
from fleet.conformance.device_account import DeviceAccount, device_checks
from fleet.conformance.kit import CHECKS, CONNECTS, examine
from fleet.errors import AddressError
from fleet.jetstream.servers import Servers, parse_servers
from fleet.reports.conformance import conformance_lines, conformance_table


@click.command()
@broker_option
@click.option(
    "--username",
    metavar="NAME",
    help="An account that may use edgewright-conform/#, where the broker asks for one.  "
    "[default: the fleet's own, by the authority, where there is TLS]",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the password of that account.",
)
@click.option(
    "--as-device",
    metavar="SITE/DEVICE",
    help="Try what this enrolled device's account may do instead; the broker must speak TLS.",
)
@click.option(
    "--device-password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the password of that device, as 'enroll' wrote it.",
)
@click.option(
    "--jetstream",
    "stream_servers",
    metavar="URL[,URL...]",
    help="Also ask the NATS cluster at nats|tls://HOST:PORT how many consumers it has room for.",
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
@click.pass_context
def conform(
    context: click.Context,
    *,
    broker_url: str,
    username: str | None,
    password_file: Path | None,
    as_device: str | None,
    device_password_file: Path | None,
    stream_servers: str | None,
    timeout_s: float,
    authority_folder: Path,
    as_json: bool,
) -> None:
    """Try on the broker what agents and collectors need of it, and say what it lacks.

    Works with real clients under topics of its own, edgewright-conform/..., which no collector
    listens to, and clears up behind itself; a fleet on the same broker is not disturbed. With
    --as-device it tries what that account reaches, with the fleet's own account beside it and by
    the leaf 'answer', which no collector listens to. Exit code 1 says that something required
    failed; what is optional is present or absent.
    """
    if username is None:
        refuse_unused(context, {"password_file"}, "without --username")
    if as_device is not None:
        refuse_unused(context, {"username", "password_file"}, "with --as-device")
    address = parse_broker_url(broker_url)
    fleets = access = fleet_access(address, authority_folder)
    if username is not None:
        access = Access(ca_file=fleets.ca_file, username=username, password_file=password_file)
    checks, device = list(CHECKS), None
    if as_device is not None or device_password_file is not None:
        device = _device(address, fleets, as_device, device_password_file)
        checks, access = [CONNECTS, *device_checks(device)], fleets
    if stream_servers is not None:
        checks += _nats_checks(parse_servers(stream_servers), fleets, device)
    found = examine(address, access, timeout_s=timeout_s, on_check=_say, checks=checks)
    if as_json:
        print_json(found)
    else:
        print_table(conformance_table(found))
        lines = conformance_lines(found)
        if lines:
            print_lines(["", *lines])
    if not found.conforms:
        raise SystemExit(int(Exit.FAILED))


def _device(
    address: BrokerAddress, fleets: Access, name: str | None, password_file: Path | None
) -> DeviceAccount:
    if name is None or password_file is None:
        message = "expected --as-device and --device-password-file together"
        raise click.UsageError(message)
    if not address.tls:
        message = f"--as-device: expected --broker mqtts://HOST, got {address}"
        raise click.UsageError(message)
    site, device = parse_name(name)
    access = Access(
        ca_file=fleets.ca_file, username=username_of(site, device), password_file=password_file
    )
    return DeviceAccount(site=site, device=device, access=access)


def _nats_checks(servers: Servers, access: Access, device: DeviceAccount | None) -> Sequence[Check]:
    if find_spec("nats") is None:
        message = "JetStream needs nats-py: pip install 'edgewright[fleet,nats]'"
        raise AddressError(message)
    # It imports nats-py.
    from fleet.conformance.nats_server import NatsPort, nats_checks  # noqa: PLC0415

    return nats_checks(NatsPort(urls=servers.urls, access=access), device)


def _say(check: Check) -> None:
    print_lines([f"{check.name}: {check.asks} ..."], err=True)
