"""`edgewright-fleet enroll` and `revoke`: a device's credentials."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from contract.address import DEFAULT_TLS_PORT, BrokerAddress
from contract.exits import Exit
from contract.topics import parse_name
from fleet.authority.authority import Authority
from fleet.authority.credentials import write_credentials
from fleet.commands.options import authority_option, json_option
from fleet.commands.printing import complain, print_json, print_lines


class EnrolledReport(msgspec.Struct, frozen=True, kw_only=True):
    """What `enroll --json` prints; no secret is in it."""

    site: str
    device: str
    username: str
    broker: str
    folder: str
    ca_file: str
    password_file: str


@click.command()
@click.argument("device_name", metavar="SITE/DEVICE")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the device's files here.  [default: SITE-DEVICE]",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name or address by which devices reach the broker, where it is not one of this "
    "machine's own; repeat it for several. The first becomes the broker of agent.toml.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=DEFAULT_TLS_PORT,
    show_default=True,
    help="The broker's port, for agent.toml.",
)
@authority_option
@json_option
def enroll(
    device_name: str,
    out: Path | None,
    names: tuple[str, ...],
    port: int,
    authority_folder: Path,
    *,
    as_json: bool,
) -> None:
    """Make the credentials of a device, and say what to copy to it.

    They are a password of its own and the certificate of this fleet's authority, which is made
    where there is none. A device that was enrolled before gets a new password; the old one is
    void, and the embedded broker ends its connection within a second or two.
    """
    site, device = parse_name(device_name)
    folder = out or Path(f"{site}-{device}")
    authority = Authority.open(authority_folder)
    if names:
        authority.add_names(names)
    credentials = authority.draft(site, device)
    # First, for where they cannot be written the device keeps what it has.
    ca_file, password_file = write_credentials(credentials, folder)
    authority.accept(credentials)
    report = EnrolledReport(
        site=site,
        device=device,
        username=credentials.username,
        broker=str(BrokerAddress(authority.public_host(), port, tls=True)),
        folder=str(folder),
        ca_file=str(ca_file),
        password_file=str(password_file),
    )
    if as_json:
        print_json(report)
    else:
        print_lines(_told(report))


@click.command()
@click.argument("device_name", metavar="SITE/DEVICE")
@authority_option
def revoke(device_name: str, authority_folder: Path) -> None:
    """Void the credentials of a device.

    The embedded broker ends its connection within a second or two; what it delivered stays
    stored. Mosquitto and NATS do so when they have what 'broker-config' writes then, and get
    SIGHUP.
    """
    site, device = parse_name(device_name)
    if not Authority.existing(authority_folder).revoke(site, device):
        complain(f"{site}/{device} is not enrolled")
        raise SystemExit(int(Exit.FAILED))
    print_lines([f"{site}/{device} is no longer enrolled."])


def _told(report: EnrolledReport) -> list[str]:
    return [
        f"{report.username} is enrolled. Copy these two files to the device, into the folder of",
        "its agent.toml, over a way that you trust (scp):",
        f"  {report.ca_file}",
        f"  {report.password_file}    a secret; keep it readable for the agent's user alone",
        "and write into agent.toml:",
        f'  site = "{report.site}"',
        f'  device = "{report.device}"',
        f'  broker = "{report.broker}"',
        '  ca_file = "ca.pem"',
        '  password_file = "password"',
    ]
