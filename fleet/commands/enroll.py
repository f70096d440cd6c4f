"""`edgewright-fleet enroll` and `revoke`: credentials of devices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec

from contract.address import DEFAULT_TLS_PORT, BrokerAddress
from contract.exits import Exit
from contract.topics import parse_name
from fleet.authority.authority import Authority
from fleet.authority.credentials import expect_no_other_password, write_credentials
from fleet.commands.options import authority_option, json_option
from fleet.commands.printing import complain, print_json, print_lines

_OTHER_BROKERS = (
    "",
    "The broker that 'serve' brings along knows at once. Mosquitto and NATS: run broker-config",
    "again ('edgewright-fleet broker-config --out DIR'), and send them SIGHUP.",
)


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
@click.argument("device_names", metavar="SITE/DEVICE...", nargs=-1, required=True)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the device's files here; of several devices, each has a folder SITE-DEVICE in it. "
    " [default: SITE-DEVICE]",
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
    device_names: tuple[str, ...],
    out: Path | None,
    names: tuple[str, ...],
    port: int,
    authority_folder: Path,
    *,
    as_json: bool,
) -> None:
    """Make the credentials of devices, and say what to copy to them.

    They are a password of its own and the certificate of this fleet's authority, which is made
    where there is none. A device that was enrolled before gets a new password; the old one is
    void, and the embedded broker ends its connection within a second or two. Mosquitto and NATS
    learn of it by 'broker-config' and SIGHUP. With --json, several devices are a list.
    """
    folders = _folders(device_names, out)
    authority = Authority.open(authority_folder)
    if names:
        authority.add_names(names, is_preferred=True)
    broker = str(BrokerAddress(authority.public_host(), port, tls=True))
    reports = []
    for (site, device), folder in folders.items():
        credentials = authority.draft(site, device)
        if folder.name != _folder_name(site, device):
            # Elsewhere it may be another device's, and the only one.
            expect_no_other_password(folder, authority.accounts().get(credentials.username))
        # First, for where they cannot be written the device keeps what it has.
        ca_file, password_file = write_credentials(credentials, folder)
        authority.accept(credentials)
        report = EnrolledReport(
            site=site,
            device=device,
            username=credentials.username,
            broker=broker,
            folder=str(folder),
            ca_file=str(ca_file),
            password_file=str(password_file),
        )
        reports.append(report)
        if len(folders) > 1 and not as_json:
            # As it goes: a thousand take minutes.
            print_lines([f"{report.username}: {report.folder}"])
    if as_json:
        print_json(reports if len(reports) > 1 else reports[0])
    else:
        print_lines(_told(reports))
        print_lines(_OTHER_BROKERS)


@click.command()
@click.argument("device_names", metavar="SITE/DEVICE...", nargs=-1, required=True)
@authority_option
def revoke(device_names: tuple[str, ...], authority_folder: Path) -> None:
    """Void the credentials of devices.

    The embedded broker ends their connections within a second or two; what they delivered stays
    stored. Mosquitto and NATS do so when they have what 'broker-config' writes then, and get
    SIGHUP.
    """
    chosen = [parse_name(one) for one in device_names]
    authority = Authority.existing(authority_folder)
    unknown = []
    for site, device in chosen:
        if authority.revoke(site, device):
            print_lines([f"{site}/{device} is no longer enrolled."])
        else:
            unknown.append(f"{site}/{device}")
    if len(unknown) < len(chosen):
        print_lines(_OTHER_BROKERS)
    if unknown:
        complain(f"not enrolled: {', '.join(unknown)}; 'edgewright-fleet enrolled' lists who is")
        raise SystemExit(int(Exit.FAILED))


def _folders(device_names: Sequence[str], out: Path | None) -> dict[tuple[str, str], Path]:
    """Where the files of each device go."""
    chosen = list(dict.fromkeys(parse_name(one) for one in device_names))
    if len(chosen) == 1:
        own = Path(_folder_name(*chosen[0]))
        # Where several were enrolled into one folder, each has its own there.
        of_several = out is not None and (out / own).is_dir()
        return {chosen[0]: (out / own if of_several else out) if out is not None else own}
    folders = [(out or Path()) / _folder_name(site, device) for site, device in chosen]
    for folder, count in Counter(folders).items():
        if count > 1:
            message = f"{folder}: expected another folder for each device; enroll those one by one"
            raise click.UsageError(message)
    return dict(zip(chosen, folders, strict=True))


def _folder_name(site: str, device: str) -> str:
    return f"{site}-{device}"


def _told(reports: Sequence[EnrolledReport]) -> Iterator[str]:
    one = reports[0]
    if len(reports) == 1:
        yield f"{one.username} is enrolled. Copy these two files to the device, into the folder of"
        yield "its agent.toml, over a way that you trust (scp):"
        yield f"  {one.ca_file}"
        yield f"  {one.password_file}    a secret; keep it readable for the agent's user alone"
    else:
        yield ""
        yield f"{len(reports):,} devices are enrolled. Copy ca.pem and password of its folder to"
        yield "each, into the folder of its agent.toml, over a way that you trust (scp); the"
        yield "password is a secret, keep it readable for the agent's user alone;"
    yield "and write into agent.toml:"
    yield f'  site = "{one.site if len(reports) == 1 else "SITE"}"'
    yield f'  device = "{one.device if len(reports) == 1 else "DEVICE"}"'
    yield f'  broker = "{one.broker}"'
    yield '  ca_file = "ca.pem"'
    yield '  password_file = "password"'
