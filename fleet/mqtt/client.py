"""A paho client of the fleet: made with its access, and its failures put into words."""

from __future__ import annotations

import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from contract.access import Access, client_id_of, why_tls_failed
from contract.address import BrokerAddress
from contract.errors import AccessError
from fleet.errors import BrokerAwayError

KEEPALIVE_S = 30


def make_client(
    address: BrokerAddress,
    access: Access,
    *,
    client_id: str,
    clean: bool,
    reconnects: bool = True,
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv311,
) -> mqtt.Client:
    """Client that is not connected yet, with what proves it to the broker and the broker to it.

    In MQTT 5 every session is clean: none outlives its connection.

    Raises:
        BrokerAwayError: a file of the access cannot be read.
    """
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        # MQTT 5 asks at each connection; paho starts clean there, and no session is kept.
        clean_session=None if protocol is MQTTProtocolVersion.MQTTv5 else clean,
        protocol=protocol,
        reconnect_on_failure=reconnects,
    )
    try:
        if address.tls:
            client.tls_set_context(access.tls_context())
        client.username_pw_set(access.username, access.password())
    except AccessError as error:
        message = f"broker {address}: {error}"
        raise BrokerAwayError(message) from error
    return client


def client_id_for(client_name: str, access: Access) -> str:
    """The client id of an account at this moment: with a part that only its password yields.

    Raises:
        BrokerAwayError: the password cannot be read.
    """
    try:
        return client_id_of(client_name, access.password())
    except AccessError as error:
        raise BrokerAwayError(str(error)) from error


def connect(client: mqtt.Client, address: BrokerAddress) -> None:
    """Connect, and let a thread of its own carry the traffic.

    Raises:
        BrokerAwayError: it cannot be reached or trusted.
    """
    try:
        client.connect(address.host, address.port, KEEPALIVE_S)
    except OSError as error:
        raise BrokerAwayError(connect_failed(address, error)) from error
    except ValueError as error:
        message = f"broker {address}: {error}"
        raise BrokerAwayError(message) from error
    client.loop_start()


def connect_failed(address: BrokerAddress, error: OSError) -> str:
    """What to say of a connection that could not be made."""
    if isinstance(error, ssl.SSLError):
        return f"broker {why_tls_failed(address, error)}"
    return f"broker {address}: {error}; is it running? (--broker URL names another)"


def refused(reason: object) -> str:
    """What to say of a broker that does not let us in."""
    return f"{reason}; expected the fleet's account, of the authority that the broker knows"
