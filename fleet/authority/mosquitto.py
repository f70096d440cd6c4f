"""Mosquitto's configuration for the same accounts and rules as the embedded broker's."""

from __future__ import annotations

from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from fleet.authority.rules import LARGEST_MESSAGE_BYTES
from fleet.errors import AddressError


class MosquittoFiles(msgspec.Struct, frozen=True, kw_only=True):
    """Files that the configuration refers to."""

    #: The broker's certificate followed by its private key.
    server: Path
    passwords: Path
    acl: Path


def mosquitto_config(listen: BrokerAddress, files: MosquittoFiles) -> str:
    """Content of a `mosquitto.conf` of its own: one listener, with TLS and accounts.

    Raises:
        AddressError: a path is one that Mosquitto cannot read.
    """
    for file in (files.server, files.passwords, files.acl):
        if not str(file).isprintable():
            message = f"{str(file)!r}: expected a path without control characters, for Mosquitto"
            raise AddressError(message)
    return f"""\
# Made by edgewright-fleet broker-config, for Mosquitto 2.0 or later.
listener {listen.port} {listen.host}
certfile {files.server}
keyfile {files.server}
tls_version tlsv1.2
allow_anonymous false
password_file {files.passwords}
acl_file {files.acl}
message_size_limit {LARGEST_MESSAGE_BYTES}
# Results that arrive while the collector is away wait here.
max_queued_messages 100000
"""
