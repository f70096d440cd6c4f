"""`edgewright-fleet broker-config`: a broker with this fleet's accounts and rules."""

from __future__ import annotations

import contextlib
import enum
from pathlib import Path
from shlex import quote

import click
from click.core import ParameterSource

from contract.address import BrokerAddress
from fleet.address import parse_listen_address
from fleet.authority.authority import Authority
from fleet.authority.names import check_host, is_address
from fleet.authority.private import make_private_folder, write_private
from fleet.commands.broker_files import BrokerFiles, NatsOptions, mosquitto_files, nats_files
from fleet.commands.broker_folder import BrokerFolder
from fleet.commands.options import authority_option
from fleet.commands.printing import print_lines, print_text
from fleet.errors import AddressError, AuthorityError

_ROUTE_PORT = 6222
_HIGHEST_PORT = 65535
#: Parameters that Mosquitto has no use for.
_NATS_ALONE = ("server_name", "nats_listen", "routes", "cluster_listen", "store_folder")
#: What holds when a folder is written again. Names of the host are kept by the authority.
_KEPT = ("listen", "authority_folder")


class Kind(enum.StrEnum):
    """Which broker."""

    MOSQUITTO = "mosquitto"
    NATS = "nats"


def _recall(
    context: click.Context, _option: click.Parameter, given: Path | None
) -> BrokerFolder | None:
    """The folder to write; what it was told before stands for options that are not given."""
    if given is None:
        return None
    folder = BrokerFolder(given)
    if folder.told is not None:
        context.default_map = {**folder.told.options, "kind": folder.told.kind}
    return folder


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
    "folder",
    is_eager=True,
    callback=_recall,
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write the configuration and copies of all files that it refers to into this folder. "
    "Where it was written before, the options hold that it was written with.",
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
    folder: BrokerFolder | None,
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
        message = f"{_option(context, of_nats[0])} goes with --kind nats"
        raise click.UsageError(message)
    if kind is Kind.NATS and routes and server_name is None:
        message = "server-name: expected a name of its own for each server of a cluster, got none"
        raise AddressError(message)
    is_known = folder is not None and folder.told is not None
    # Where one was used before, a misspelt folder must not make another.
    authority = (Authority.existing if is_known else Authority.open)(authority_folder)
    if names:
        authority.add_names(names)
    path = authority.folder.absolute() if folder is None else folder.path
    try:
        if kind is Kind.MOSQUITTO:
            files = mosquitto_files(authority, path, address)
        else:
            files = nats_files(authority, path, address, options, is_whole=folder is None)
        make_private_folder(path)
        if folder is None:
            _write_beside(files)
            print_text(files.config)
        else:
            _write(context, folder, files, authority, kind)
    except OSError as error:
        message = f"{path}: {error.strerror or error}; name another folder with --out"
        raise AuthorityError(message) from error


def _write(
    context: click.Context,
    folder: BrokerFolder,
    files: BrokerFiles,
    authority: Authority,
    kind: Kind,
) -> None:
    kept = (*_KEPT, *(_NATS_ALONE if kind is Kind.NATS else ()))
    options = {name: _text(context.params[name]) for name in kept if context.params[name]}
    changed = [_option(context, name) for name in folder.check(authority, kind, options)]
    is_ours = folder.is_ours(files.config_file, files.config, changed)
    _write_beside(files)
    folder.write(
        files.config_file,
        files.config if is_ours else None,
        authority=authority,
        kind=kind,
        options=options,
    )
    again = f"edgewright-fleet broker-config --out {quote(str(folder.path))}"
    print_lines(
        [
            *files.said,
            "After 'enroll' and 'revoke', run",
            f"  {again}",
            "which uses the options that it was given now, with sudo where the folder is not yours",
            "any more (files keep their owner), and send the broker SIGHUP.",
        ]
    )
    if changed:
        print_lines(
            [
                f"Other than before: {', '.join(changed)}. The broker has to be started anew for",
                "that; on SIGHUP it may refuse all of it.",
            ]
        )


def _write_beside(files: BrokerFiles) -> None:
    for file, content in files.beside.items():
        write_private(file, content, keeps_owner=True)


def _text(value: object) -> str | list[str]:
    """A parameter as a command line has it, in any folder."""
    if isinstance(value, tuple):
        return [str(one) for one in value]
    return str(value.absolute()) if isinstance(value, Path) else str(value)


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _option(context: click.Context, name: str) -> str:
    return next(one.opts[0] for one in context.command.params if one.name == name)


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
    check_host(address.host)
    return address


def _route(text: str) -> str:
    """`HOST:PORT` of another server."""
    is_bare = ":" not in text or text.endswith("]") or is_address(text)
    host, _, port = (f"{text}:{_ROUTE_PORT}" if is_bare else text).rpartition(":")
    with contextlib.suppress(AddressError):
        host = check_host(host)
        if port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT:
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    message = (
        f"route {text!r}: expected HOST[:PORT] of a server, without user and password, such as "
        "n2.example.org or [fd00::2]:6222"
    )
    raise AddressError(message)
