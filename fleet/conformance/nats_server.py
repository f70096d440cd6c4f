"""Checks by the NATS port of a cluster: room for consumers, and who gets in there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import msgspec
import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js import JetStreamContext

from contract.access import Access
from fleet.conformance.check import Check
from fleet.conformance.device_account import DeviceAccount
from fleet.conformance.finding import UnmetError
from fleet.conformance.stand import Stand

#: Where the MQTT gateway keeps messages at QoS 1; each subscription at QoS 1 has a consumer there.
_STREAM = "$MQTT_msgs"
#: What a server takes where nothing is configured, and since which version (major, minor).
_DEFAULT_LIMIT, _LIMITED_SINCE = 1000, (2, 15)
#: For a hundred more collectors, or agents of a release that subscribed at QoS 1, three each.
_WANTED = 300


class NatsPort(msgspec.Struct, frozen=True, kw_only=True):
    """Servers of a cluster, and how the fleet gets in."""

    urls: Sequence[str]
    access: Access


def nats_checks(port: NatsPort, device: DeviceAccount | None) -> tuple[Check, ...]:
    """The checks of a cluster; with a device's account, also what that reaches."""
    connects = Check(
        name="nats-port",
        required=True,
        asks="the fleet's account connects to the NATS port",
        means="no collector can take results by --jetstream. Is it tls:// or nats://, and is the "
        "port that of NATS?",
        attempt=lambda stand: asyncio.run(_connects(port, stand.timeout_s)),
    )
    consumers = Check(
        name="consumers",
        required=False,
        asks=f"{_WANTED} consumers or more can be added (a collector takes 3, an agent none)",
        means="collectors (3 each), and agents that still subscribe at QoS 1 (3 each), are refused "
        "their subscriptions once it is full: give the account 'jetstream { max_consumers: 100000 "
        "}', and the gateway 'consumer_inactive_threshold', by which those of gone clients go",
        attempt=lambda stand: asyncio.run(_consumers(port, stand.timeout_s)),
        needs=(connects.name,),
    )
    if device is None:
        return connects, consumers
    refused = Check(
        name="device-nats",
        required=True,
        asks="a device's account gets no connection to the NATS port",
        means="a device can use the cluster's own interfaces: set allowed_connection_types to "
        "[\"MQTT\"] for its user, as 'edgewright-fleet broker-config --kind nats' does",
        attempt=lambda stand: asyncio.run(_refused(port, device.access, stand)),
        needs=(connects.name,),
    )
    return connects, consumers, refused


async def _connects(port: NatsPort, timeout_s: float) -> str:
    try:
        async with _connected(port.urls, port.access, timeout_s) as client:
            return f"nats-server {client.connected_server_version}"
    except (Error, OSError, TimeoutError) as error:
        expected = "a connection"
        raise UnmetError(expected, str(error) or type(error).__name__) from error


async def _consumers(port: NatsPort, timeout_s: float) -> str:
    expected = "an answer of the stream's server"
    try:
        async with _connected(port.urls, port.access, timeout_s) as client:
            stream = client.jetstream(timeout=timeout_s)
            info = await stream.stream_info(_STREAM)
            account = await stream.account_info()
            version = client.connected_server_version
            there = info.state.consumer_count
            idle = await _without_client(stream, there)
    except (Error, OSError, TimeoutError) as error:
        raise UnmetError(expected, str(error) or type(error).__name__) from error
    limit, whose = _limit(
        info.config.max_consumers, account.limits.max_consumers, (version.major, version.minor)
    )
    told = f"{there:,} consumers, {idle:,} of them without a client"
    if limit is None:
        return f"{told}, and no limit"
    told = f"{told}; at most {limit:,} ({whose})"
    if limit - there < _WANTED:
        expected = f"room for {_WANTED}"
        raise UnmetError(expected, told)
    return told


async def _without_client(stream: JetStreamContext, count: int) -> int:
    """How many consumers nobody is connected to."""
    seen, idle = 0, 0
    while seen < count:
        page = await stream.consumers_info(_STREAM, seen)
        if not page:
            break
        seen += len(page)
        idle += sum(not one.push_bound for one in page)
    return idle


def _limit(
    of_stream: int | None, of_account: int | None, version: tuple[int, int]
) -> tuple[int | None, str]:
    """The limit that counts, and whose it is."""
    if of_stream is not None and of_stream > 0:
        return of_stream, "the stream's limit"
    if of_account is not None and of_account > 0:
        return of_account, "the account's limit"
    if version >= _LIMITED_SINCE:
        return _DEFAULT_LIMIT, (
            "the server's own limit, unless its jetstream.limits.default_max_consumers, which it "
            "does not tell, is another"
        )
    return None, ""


async def _refused(port: NatsPort, access: Access, stand: Stand) -> str:
    try:
        async with _connected(port.urls, access, stand.timeout_s):
            pass
    except Error as error:
        if "authorization" in str(error).lower():
            return "refused"
        expected = "a refusal"
        raise UnmetError(expected, str(error)) from error
    except (OSError, TimeoutError) as error:
        expected = "a refusal"
        raise UnmetError(expected, str(error) or type(error).__name__) from error
    expected = "a refusal"
    raise UnmetError(expected, "a connection")


async def _quiet(_error: Exception) -> None:
    """It is raised as well."""


@contextlib.asynccontextmanager
async def _connected(
    urls: Sequence[str], access: Access, timeout_s: float
) -> AsyncIterator[Client]:
    is_tls = urls[0].startswith("tls:")
    client = await nats.connect(
        list(urls),
        user=access.username if is_tls else None,
        password=access.password() if is_tls else None,
        tls=access.tls_context() if is_tls else None,
        connect_timeout=max(1, round(timeout_s)),
        allow_reconnect=False,
        error_cb=_quiet,
    )
    try:
        yield client
    finally:
        await client.close()
