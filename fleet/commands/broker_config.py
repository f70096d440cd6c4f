"""`edgewright-fleet broker-config`: a broker with this fleet's accounts and rules."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import click
import msgspec
from click.core import ParameterSource

from contract.address import BrokerAddress
from contract.files import write_atomically
from fleet.address import parse_listen_address
from fleet.authority.authority import Authority
from fleet.authority.mosquitto import MosquittoFiles, mosquitto_config
from fleet.authority.private import make_private_folder, write_private
from fleet.authority.rules import mosquitto_acl
from fleet.commands.options import authority_option
from fleet.commands.printing import complain, print_lines, print_text
from fleet.errors import AddressError, AuthorityError
from fleet.jetstream.server_config import ClusterLinks, NatsServerSettings, nats_config

_ROUTE_PORT = 6222


#: Parameters that Mosquitto has no use for, and their options.
_NATS_ALONE = {
    "server_name": "server-name",
    "nats_listen": "nats-listen",
    "routes": "route",
    "cluster_listen": "cluster-listen",
    "store_folder": "store-dir",
}


class Kind(enum.StrEnum):
    """Which broker."""

    MOSQUITTO = "mosquitto"
    NATS = "nats"


class NatsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `broker-config` takes for NATS alone."""

    server_name: str | None
    nats_listen: BrokerAddress
    cluster_listen: BrokerAddress
    routes: Sequence[str]
    store_folder: Path


@click.command("broker-config")
@click.option(
    "--kind",
    type=click.Choice([one.value for one in Kind]),
    callback=lambda _context, _option, given: Kind(given),
    default=Kind.MOSQUITTO.value,
    show_default=True,
    help="Which broker: Mosquitto, or a NATS server with JetStream and its MQTT gateway.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the configuration and copies of all files that it refers to into this folder.",
)
@click.option(
    "--listen",
    default="0.0.0.0:8883",
    show_default=True,
    metavar="HOST:PORT",
    help="Where the broker listens for devices, with TLS.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    metavar="HOST",
    help="A name or address by which devices reach it, where it is not one of this machine's "
    "own; repeat it for several, and for each server of a cluster.",
)
@click.option(
    "--server-name",
    metavar="NAME",
    help="NATS: the server's name, another one for each server of a cluster.",
)
@click.option(
    "--nats-listen",
    default="0.0.0.0:4222",
    show_default=True,
    metavar="HOST:PORT",
    help="NATS: where it listens for collectors, with TLS.",
)
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="HOST[:PORT]",
    help="NATS: another server of the cluster; repeat it for each. The port is 6222 where none "
    "is given.",
)
@click.option(
    "--cluster-listen",
    default=f"0.0.0.0:{_ROUTE_PORT}",
    show_default=True,
    metavar="HOST:PORT",
    help="NATS: where it listens for the other servers.",
)
@click.option(
    "--store-dir",
    "store_folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/var/lib/nats"),
    show_default=True,
    metavar="DIR",
    help="NATS: where it keeps its streams.",
)
@authority_option
@click.pass_context
def broker_config(
    context: click.Context,
    *,
    kind: Kind,
    out: Path | None,
    listen: str,
    names: tuple[str, ...],
    server_name: str | None,
    nats_listen: str,
    routes: tuple[str, ...],
    cluster_listen: str,
    store_folder: Path,
    authority_folder: Path,
) -> None:
    """Print a configuration of Mosquitto or NATS with the accounts and rules of this fleet.

    It refers to files in the authority's folder, which only its owner can read. With --out, the
    configuration and copies of them are written into a folder of their own, to be given to the
    user that the broker runs as. After 'enroll' and 'revoke', write them again and send the
    broker SIGHUP.
    """
    address = _listen_address(listen)
    options = NatsOptions(
        server_name=server_name,
        nats_listen=_listen_address(nats_listen),
        cluster_listen=_listen_address(cluster_listen),
        routes=[_route(one) for one in routes],
        store_folder=store_folder.absolute(),
    )
    of_nats = [name for name in _NATS_ALONE if _is_given(context, name)]
    if kind is Kind.MOSQUITTO and of_nats:
        message = f"--{_NATS_ALONE[of_nats[0]]} goes with --kind nats"
        raise click.UsageError(message)
    if kind is Kind.NATS and routes and server_name is None:
        message = "server-name: expected a name of its own for each server of a cluster, got none"
        raise AddressError(message)
    authority = Authority.open(authority_folder)
    if names:
        authority.add_names(names)
    folder = (out or authority.folder).absolute()
    try:
        make_private_folder(folder)
        if kind is Kind.MOSQUITTO:
            _mosquitto(authority, folder, address, is_printed=out is None)
        else:
            _nats(authority, folder, address, options, is_printed=out is None)
    except OSError as error:
        message = f"{folder}: {error.strerror or error}; name another folder with --out"
        raise AuthorityError(message) from error


def _mosquitto(
    authority: Authority, folder: Path, address: BrokerAddress, *, is_printed: bool
) -> None:
    acl_file = folder / "mosquitto.acl"
    write_private(acl_file, mosquitto_acl().encode(), keeps_owner=True)
    files = MosquittoFiles(
        server=_given(authority.server_file, folder),
        passwords=_given(authority.accounts_file, folder),
        acl=acl_file,
    )
    config = mosquitto_config(address, files)
    if is_printed:
        print_text(config)
        return
    config_file = folder / "mosquitto.conf"
    write_atomically(config_file, config.encode(), keeps_owner=True)
    print_lines(
        [
            f"{config_file} refers to",
            f"  {files.server}    certificate and key of the broker; a secret",
            f"  {files.passwords}    accounts",
            f"  {files.acl}    rules",
            f"Give them to Mosquitto's user (sudo chown -R mosquitto: {quote(str(folder))}),",
            "and start",
            f"  mosquitto -c {quote(str(config_file))}",
            "After 'enroll' and 'revoke', run this again, with sudo where the folder is not yours",
            "any more (files keep their owner), and send Mosquitto SIGHUP.",
        ]
    )


def _nats(
    authority: Authority,
    folder: Path,
    address: BrokerAddress,
    options: NatsOptions,
    *,
    is_printed: bool,
) -> None:
    cluster = None
    if options.routes:
        cluster = ClusterLinks(
            listen=options.cluster_listen,
            routes=options.routes,
            ca_file=_given(authority.ca_file, folder),
        )
    settings = NatsServerSettings(
        name=options.server_name or "edgewright",
        mqtt_listen=address,
        nats_listen=options.nats_listen,
        server_file=_given(authority.server_file, folder),
        store_folder=options.store_folder,
        cluster=cluster,
    )
    hashes = authority.bcrypt_hashes()
    without = sorted(set(authority.accounts()) - set(hashes))
    if without:
        complain(
            f"not in it: {', '.join(without)}; they were enrolled by a release that kept no hash "
            "that NATS can read. Enroll them again."
        )
    config = nats_config(settings, hashes)
    if is_printed:
        print_text(config)
        return
    config_file = folder / "nats.conf"
    write_private(config_file, config.encode(), keeps_owner=True)
    owned = f"{quote(str(folder))} {quote(str(settings.store_folder))}"
    print_lines(
        [
            f"{config_file} holds accounts and rules, and refers to",
            f"  {settings.server_file}    certificate and key of the server; a secret",
            f"Give them to the server's user (sudo chown -R nats: {owned}), and start",
            f"  nats-server -c {quote(str(config_file))}",
            "After 'enroll' and 'revoke', run this again, with sudo where the folder is not yours",
            "any more (files keep their owner), and send the server SIGHUP.",
        ]
    )


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _listen_address(text: str) -> BrokerAddress:
    """Where another program listens: nothing of it is guessed."""
    host = text.rpartition(":")[0].rpartition("//")[2]
    address = parse_listen_address(text)
    if not host or not address.port:
        message = (
            f"listen address '{text}': expected HOST:PORT with both, such as 0.0.0.0:8883 for "
            "every address of that machine"
        )
        raise AddressError(message)
    return address


def _route(text: str) -> str:
    """`HOST:PORT` of another server."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, str(_ROUTE_PORT)
    if not host or "/" in host:
        message = f"route '{text}': expected HOST[:PORT] of a server, such as n2.example.org"
        raise AddressError(message)
    return f"{host}:{port}"


def _given(file: Path, folder: Path) -> Path:
    """The file itself where `folder` is its own, else a copy there."""
    copy = folder / file.name
    if copy != file.absolute():
        write_private(copy, file.read_bytes(), keeps_owner=True)
    return copy
