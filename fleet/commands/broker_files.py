"""What `broker-config` writes for each kind of broker, and what it says of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import msgspec

from contract.address import BrokerAddress
from fleet.authority.authority import Authority
from fleet.authority.mosquitto import MosquittoFiles, mosquitto_config
from fleet.authority.rules import mosquitto_acl
from fleet.commands.printing import complain
from fleet.jetstream.server_config import (
    ClusterLinks,
    NatsServerSettings,
    nats_accounts,
    nats_config,
)


class BrokerFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration, and the files that it refers to; those are secrets."""

    config_file: Path
    config: str
    beside: dict[Path, bytes]
    #: What to do with them.
    said: list[str]


class NatsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `broker-config` takes for NATS alone."""

    server_name: str | None
    nats_listen: BrokerAddress
    cluster_listen: BrokerAddress
    routes: Sequence[str]
    store_folder: Path


def mosquitto_files(authority: Authority, folder: Path, listen: BrokerAddress) -> BrokerFiles:
    """For Mosquitto, in `folder`.

    Raises:
        AddressError: a path is one that Mosquitto cannot read.
        OSError: the authority's files cannot be read.
    """
    config_file = folder / "mosquitto.conf"
    files = MosquittoFiles(
        server=folder / authority.server_file.name,
        passwords=folder / authority.accounts_file.name,
        acl=folder / "mosquitto.acl",
    )
    return BrokerFiles(
        config_file=config_file,
        config=mosquitto_config(listen, files),
        beside={
            files.acl: mosquitto_acl().encode(),
            **_copies(folder, authority.server_file, authority.accounts_file),
        },
        said=[
            f"{config_file} refers to",
            f"  {files.server}    certificate and key of the broker; a secret",
            f"  {files.passwords}    accounts",
            f"  {files.acl}    rules",
            f"Give them to Mosquitto's user (sudo chown -R mosquitto: {quote(str(folder))}),",
            "and start",
            f"  mosquitto -c {quote(str(config_file))}",
        ],
    )


def nats_files(
    authority: Authority,
    folder: Path,
    listen: BrokerAddress,
    options: NatsOptions,
    *,
    is_whole: bool,
) -> BrokerFiles:
    """For a NATS server, in `folder`; accounts are in a file beside it, or in it if it `is_whole`.

    Raises:
        AddressError: a name or path is one that NATS cannot read.
        OSError: the authority's files cannot be read.
    """
    config_file, accounts_file = folder / "nats.conf", folder / "accounts.conf"
    beside = _copies(folder, authority.server_file)
    cluster = None
    if options.routes:
        cluster = ClusterLinks(
            listen=options.cluster_listen,
            routes=options.routes,
            ca_file=folder / authority.ca_file.name,
        )
        beside |= _copies(folder, authority.ca_file)
    settings = NatsServerSettings(
        name=options.server_name or "edgewright",
        mqtt_listen=listen,
        nats_listen=options.nats_listen,
        server_file=folder / authority.server_file.name,
        store_folder=options.store_folder,
        cluster=cluster,
    )
    accounts = _nats_accounts(authority)
    if not is_whole:
        beside[accounts_file] = accounts.encode()
        accounts = f"include ./{accounts_file.name}\n"
    owned = f"{quote(str(folder))} {quote(str(settings.store_folder))}"
    return BrokerFiles(
        config_file=config_file,
        config=nats_config(settings, accounts),
        beside=beside,
        said=[
            f"{config_file} refers to",
            f"  {settings.server_file}    certificate and key of the server; a secret",
            f"  {accounts_file}    accounts and rules",
            "Give them to the user that runs the server, such as nats",
            f"(sudo mkdir -p {owned} && sudo chown -R nats: {owned}), and start",
            f"  nats-server -c {quote(str(config_file))}",
        ],
    )


def _nats_accounts(authority: Authority) -> str:
    hashes = authority.bcrypt_hashes()
    without = sorted(set(authority.accounts()) - set(hashes))
    if without:
        complain(
            f"not in it: {', '.join(without)}; they were enrolled by a release that kept no hash "
            "that NATS can read. Enroll them again."
        )
    return nats_accounts(hashes)


def _copies(folder: Path, *files: Path) -> dict[Path, bytes]:
    """Content of files that are to be in a folder; none of those that are there as they are."""
    return {
        folder / file.name: file.read_bytes()
        for file in files
        if folder / file.name != file.absolute()
    }
