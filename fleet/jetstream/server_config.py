"""A NATS server's configuration for the same accounts and rules as the embedded broker's.

https://docs.nats.io/running-a-nats-service/configuration (accounts, permissions, MQTT)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from contract.topics import Leaf, parse_name, topic_for, topics_of_all
from fleet.authority.rules import FLEET, LARGEST_MESSAGE_BYTES, TRIALS
from fleet.errors import AddressError
from fleet.jetstream.names import CONSUMER, STREAM
from fleet.jetstream.subject import subject_of_filter

#: The NATS account that fleet and devices share; its streams are not those of other accounts.
ACCOUNT = "EDGEWRIGHT"
#: Consumers of one stream. The gateway makes one for each subscription at QoS 1, and a server
#: has room for 1,000 where nothing else is said (since 2.15). Agents subscribe at QoS 0; those of
#: before at QoS 1.
_CONSUMERS_AT_MOST = 100_000
#: After so long without its client, the gateway's consumer goes.
_CONSUMER_INACTIVE = "5m"
#: Where the gateway delivers what a subscription at QoS 1 gets; before NATS 2.12.3 it asks for
#: this permission. It refuses a client's own subscriptions there.
_DELIVERIES = "$MQTT.sub.>"
#: What the gateway keeps lies below; since NATS 2.12.3 an MQTT client may publish there unless
#: it is denied.
_GATEWAY = "$MQTT.>"
_API = "$JS.API"
#: Where `conform` tries things.
_TRIALS = f"{TRIALS}.>"
_SERVER_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Permissions(msgspec.Struct, frozen=True, kw_only=True):
    """Subjects that one user may publish to and subscribe to; nothing else is allowed."""

    publish: list[str]
    subscribe: list[str]


class ClusterLinks(msgspec.Struct, frozen=True, kw_only=True):
    """How a server reaches the others of its cluster."""

    listen: BrokerAddress
    #: `HOST:PORT` of each other server; its own may be among them.
    routes: Sequence[str]
    #: The authority that signed the servers' certificates.
    ca_file: Path


class NatsServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from server to server."""

    name: str
    #: For devices: the MQTT gateway.
    mqtt_listen: BrokerAddress
    #: For collectors.
    nats_listen: BrokerAddress
    #: Certificate and private key.
    server_file: Path
    store_folder: Path
    #: None where the server is alone.
    cluster: ClusterLinks | None = None


def device_permissions(site: str, device: str) -> Permissions:
    """What a device may do: publish its own leaves, and hear what the fleet says to it.

    Raises:
        TopicError: `site` or `device` is not a valid identifier.
    """
    subjects = {leaf: subject_of_filter(topic_for(site, device, leaf)) for leaf in Leaf}
    return Permissions(
        publish=[subject for leaf, subject in subjects.items() if leaf.from_device],
        subscribe=[
            *(subject for leaf, subject in subjects.items() if not leaf.from_device),
            _DELIVERIES,
        ],
    )


def fleet_permissions() -> Permissions:
    """What the fleet may do: the opposite for all devices, and use its own stream."""
    subjects = {leaf: subject_of_filter(topics_of_all(leaf)) for leaf in Leaf}
    return Permissions(
        publish=[
            *(subject for leaf, subject in subjects.items() if not leaf.from_device),
            f"{_API}.INFO",
            f"{_API}.STREAM.INFO.{STREAM}",
            f"{_API}.STREAM.CREATE.{STREAM}",
            f"{_API}.CONSUMER.INFO.{STREAM}.{CONSUMER}",
            f"{_API}.CONSUMER.CREATE.{STREAM}.{CONSUMER}",
            f"{_API}.CONSUMER.DURABLE.CREATE.{STREAM}.{CONSUMER}",
            f"{_API}.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}",
            # Servers of version 2 of the acknowledgement put domain and account between.
            f"$JS.ACK.{STREAM}.{CONSUMER}.>",
            f"$JS.ACK.*.*.{STREAM}.{CONSUMER}.>",
            # To read how many consumers there are, for `conform`.
            f"{_API}.STREAM.INFO.$MQTT_msgs",
            f"{_API}.CONSUMER.LIST.$MQTT_msgs",
            _TRIALS,
        ],
        subscribe=[
            *(subject for leaf, subject in subjects.items() if leaf.from_device),
            _TRIALS,
            "_INBOX.>",
            _DELIVERIES,
        ],
    )


def nats_accounts(hashes: Mapping[str, str]) -> str:
    """The part of a `nats.conf` with accounts and rules, which also may be a file of its own.

    Args:
        hashes: bcrypt hash of each account's password, by account.

    Raises:
        TopicError: an account is neither the fleet's nor SITE/DEVICE.
    """
    users = "\n".join(f"      {_user(name, hashes[name])}" for name in sorted(hashes))
    return f"""\
accounts {{
  {ACCOUNT} {{
    # Of one stream. A collector takes three, and so does an agent that subscribes at QoS 1.
    jetstream {{ max_consumers: {_CONSUMERS_AT_MOST} }}
    users [
{users}
    ]
  }}
}}
"""


def nats_config(settings: NatsServerSettings, accounts: str) -> str:
    """Content of a `nats.conf` of its own: JetStream, the MQTT gateway, TLS and accounts.

    Args:
        settings: of this server.
        accounts: what `nats_accounts` gives, or how a file with that is included.

    Raises:
        AddressError: a name or path is one that NATS cannot read.
    """
    tls = f"tls {{ {_certificate(settings.server_file)} }}"
    if not _SERVER_NAME.fullmatch(settings.name):
        message = f"server-name {settings.name!r}: expected 1 to 64 letters, digits, - and _"
        raise AddressError(message)
    return f"""\
# Made by edgewright-fleet broker-config, for nats-server 2.15 or later.
server_name: {_text(settings.name)}
listen: {_listen(settings.nats_listen)}
{tls}
max_payload: {LARGEST_MESSAGE_BYTES}
jetstream {{ store_dir: {_text(str(settings.store_folder))} }}
mqtt {{
  listen: {_listen(settings.mqtt_listen)}
  {tls}
  # What the gateway keeps for a client that does not come back goes.
  consumer_inactive_threshold: "{_CONSUMER_INACTIVE}"
  consumer_memory_storage: true
}}
{_cluster(settings)}{accounts}"""


def _cluster(settings: NatsServerSettings) -> str:
    cluster = settings.cluster
    if cluster is None:
        return ""
    routes = ", ".join(_text(f"nats://{route}") for route in cluster.routes)
    trust = f"ca_file: {_text(str(cluster.ca_file))}, verify: true"
    return f"""\
cluster {{
  name: edgewright
  listen: {_listen(cluster.listen)}
  # Servers prove themselves to each other by their certificates.
  tls {{ {_certificate(settings.server_file)}, {trust} }}
  routes: [{routes}]
  # Collectors know the servers by the names that they were given, as the certificate does.
  no_advertise: true
}}
"""


def _user(account: str, hashed: str) -> str:
    if account == FLEET:
        permissions, connections = fleet_permissions(), ["MQTT", "STANDARD"]
    else:
        permissions, connections = device_permissions(*parse_name(account)), ["MQTT"]
    publish = f"{{ allow: {json.dumps(permissions.publish)}, deny: {_text(_GATEWAY)} }}"
    subscribe = f"{{ allow: {json.dumps(permissions.subscribe)} }}"
    return (
        f"{{ user: {_text(account)}, password: {_text(hashed)}, "
        f"allowed_connection_types: {json.dumps(connections)}, "
        f"permissions: {{ publish: {publish}, subscribe: {subscribe} }} }}"
    )


def _certificate(file: Path) -> str:
    return f"cert_file: {_text(str(file))}, key_file: {_text(str(file))}"


def _listen(address: BrokerAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return _text(f"{host}:{address.port}")


def _text(value: str) -> str:
    if not value.isprintable() or {'"', "\\"} & set(value):
        message = (
            f"{value!r}: expected a name without quotes, backslashes and control characters, "
            "which NATS would read as something else"
        )
        raise AddressError(message)
    # Quoted, for unquoted text that begins with a dollar sign is a variable.
    return f'"{value}"'
