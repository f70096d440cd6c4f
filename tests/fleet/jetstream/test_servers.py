"""Where a cluster is, and what makes no sense together with it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from contract.address import parse_broker_url
from fleet.address import parse_listen_address
from fleet.collecting.service import ServiceOptions, run_service
from fleet.errors import AddressError
from fleet.jetstream.servers import parse_servers


def test_the_port_is_that_of_nats_unless_another_is_given() -> None:
    servers = parse_servers("nats://a, nats://b:4223,nats://[::1]")
    assert servers.urls == ("nats://a:4222", "nats://b:4223", "nats://[::1]:4222")
    assert not servers.tls


def test_tls_is_for_all_servers() -> None:
    assert parse_servers("tls://a,tls://b").tls
    with pytest.raises(AddressError, match="for all servers"):
        parse_servers("tls://a,nats://b")


@pytest.mark.parametrize(
    "text", ["", "a", "mqtt://a", "nats://", "nats://a:0", "nats://a/x", "nats://a,,nats://b"]
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="expected nats://HOST"):
        parse_servers(text)


def test_credentials_in_a_url_are_refused() -> None:
    with pytest.raises(AddressError, match="without user and password"):
        parse_servers("nats://me:secret@a")


@pytest.mark.parametrize(
    ("broker", "servers", "shared", "said"),
    [
        (None, "nats://a", False, "name it with --broker"),
        ("mqtt://a", "nats://a", True, "expected one of --shared and --jetstream"),
        ("mqtts://a", "nats://a", False, "TLS for both or neither"),
    ],
)
def test_a_stream_needs_its_gateway_and_no_other_way_of_sharing(
    tmp_path: Path, broker: str | None, servers: str, said: str, *, shared: bool
) -> None:
    options = ServiceOptions(
        store_url=f"sqlite:///{tmp_path / 'fleet.db'}",
        broker=parse_broker_url(broker) if broker else None,
        listen=parse_listen_address("127.0.0.1:0"),
        authority=tmp_path / "authority",
        shared=shared,
        jetstream=parse_servers(servers),
    )
    with pytest.raises(AddressError, match=said):
        run_service(options, stop=threading.Event(), on_ready=lambda _: None)
    assert not list(tmp_path.iterdir())
