"""`edgewright-fleet broker-config`: Mosquitto with this fleet's accounts and rules."""

from __future__ import annotations

from pathlib import Path

import click

from contract.files import write_atomically
from fleet.address import parse_listen_address
from fleet.authority.authority import Authority
from fleet.authority.mosquitto import MosquittoFiles, mosquitto_config
from fleet.authority.private import make_private_folder, write_private
from fleet.authority.rules import mosquitto_acl
from fleet.commands.options import authority_option
from fleet.commands.printing import print_lines, print_text
from fleet.errors import AuthorityError


@click.command("broker-config")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write mosquitto.conf and copies of all files that it refers to into this folder.",
)
@click.option(
    "--listen",
    default="0.0.0.0:8883",
    show_default=True,
    metavar="HOST:PORT",
    help="Where Mosquitto listens, with TLS.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name or address by which devices reach it, where it is not one of this machine's "
    "own; repeat it for several.",
)
@authority_option
def broker_config(
    out: Path | None, listen: str, names: tuple[str, ...], authority_folder: Path
) -> None:
    """Print a configuration of Mosquitto with the accounts and rules of this fleet.

    It refers to files in the authority's folder, which only its owner can read. With --out,
    mosquitto.conf and copies of them are written into a folder of their own, to be given to
    the user that Mosquitto runs as. After 'enroll' and 'revoke', write them again and send
    Mosquitto SIGHUP.
    """
    address = parse_listen_address(listen)
    authority = Authority.open(authority_folder)
    if names:
        authority.add_names(names)
    folder = (out or authority.folder).absolute()
    acl_file = folder / "mosquitto.acl"
    try:
        make_private_folder(folder)
        write_private(acl_file, mosquitto_acl().encode())
        if out is None:
            server, passwords = authority.server_file, authority.accounts_file
        else:
            server = _copied(authority.server_file, folder)
            passwords = _copied(authority.accounts_file, folder)
        files = MosquittoFiles(
            server=server.absolute(), passwords=passwords.absolute(), acl=acl_file
        )
        config = mosquitto_config(address, files)
        if out is None:
            print_text(config)
            return
        config_file = folder / "mosquitto.conf"
        write_atomically(config_file, config.encode())
    except OSError as error:
        message = f"{folder}: {error.strerror or error}; name another folder with --out"
        raise AuthorityError(message) from error
    print_lines(
        [
            f"{config_file} refers to",
            f"  {files.server}    certificate and key of the broker; a secret",
            f"  {files.passwords}    accounts",
            f"  {files.acl}    rules",
            f"Give them to Mosquitto's user (sudo chown -R mosquitto: {folder}), and start",
            f"  mosquitto -c {config_file}",
            "After 'enroll' and 'revoke', run this again and send Mosquitto SIGHUP.",
        ]
    )


def _copied(file: Path, folder: Path) -> Path:
    copy = folder / file.name
    write_private(copy, file.read_bytes())
    return copy
