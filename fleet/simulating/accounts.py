"""Accounts of simulated devices, for brokers that ask for one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from contract.access import Access, client_name_of
from contract.address import BrokerAddress
from fleet.authority.authority import Authority
from fleet.authority.credentials import write_credentials
from fleet.errors import BrokerRefusedError, PlanError
from fleet.mqtt.client import client_id_for
from fleet.mqtt.short_connection import end_session
from fleet.simulating.box import SimulatedDevice
from fleet.simulating.plan import Mode, Plan

_PROBE = "simulate-probe"
#: The embedded broker looks every second.
_TAKEN_UP_WITHIN_S, _LOOK_S = 5.0, 0.5


@contextlib.contextmanager
def accounts_for(
    plan: Plan, address: BrokerAddress, authority_folder: Path, folder: Path
) -> Iterator[Callable[[SimulatedDevice], Access]]:
    """Yield how each device gets in: without an account, or enrolled until the end of this.

    Args:
        plan: how devices are connected.
        address: of a broker that asks for accounts exactly where it speaks TLS.
        authority_folder: of the authority that the broker knows.
        folder: takes the devices' secrets, and is the caller's to remove.

    Raises:
        PlanError: devices are to share connections, which accounts forbid.
        AuthorityError: the authority cannot be used.
        BrokerAwayError: the broker is not there.
        BrokerRefusedError: it does not let in who was enrolled just now.
    """
    if not address.tls:
        _try_connection(plan.site, address, Access())
        yield lambda _device: Access()
        return
    if plan.mode is Mode.SHARED:
        message = (
            f"connections {plan.connections}: expected one for each of {plan.devices} devices, for "
            f"{address} knows each by its own account"
        )
        raise PlanError(message)
    authority = Authority.existing(authority_folder)
    enrolled: list[SimulatedDevice] = []

    def enroll(device: SimulatedDevice) -> Access:
        credentials = authority.enroll(device.site, device.name)
        enrolled.append(device)
        ca_file, password_file = write_credentials(credentials, folder / device.name)
        return Access(ca_file=ca_file, username=credentials.username, password_file=password_file)

    _expect_to_get_in(authority, plan.site, address, folder / _PROBE)
    try:
        yield enroll
    finally:
        for device in enrolled:
            authority.revoke(device.site, device.name)


def _try_connection(site: str, address: BrokerAddress, access: Access) -> None:
    """Connect once, before thousands of devices wait for a broker that is not there.

    Raises:
        BrokerAwayError: it is not.
        BrokerRefusedError: it does not let the account in.
    """
    client_id = client_id_for(client_name_of(site, _PROBE), access)
    end_session(address, access, client_id, timeout_s=_TAKEN_UP_WITHIN_S)


def _expect_to_get_in(
    authority: Authority, site: str, address: BrokerAddress, folder: Path
) -> None:
    """Try one new account before there are thousands of which each is refused again and again.

    Raises:
        BrokerAwayError: the broker is not there.
        BrokerRefusedError: it does not let the account in.
    """
    credentials = authority.enroll(site, _PROBE)
    try:
        ca_file, password_file = write_credentials(credentials, folder)
        access = Access(ca_file=ca_file, username=credentials.username, password_file=password_file)
        deadline = time.monotonic() + _TAKEN_UP_WITHIN_S
        while True:
            try:
                _try_connection(site, address, access)
            except BrokerRefusedError as error:
                if time.monotonic() < deadline:
                    time.sleep(_LOOK_S)
                    continue
                message = (
                    f"{error}. It was asked with an account that was enrolled just now: the broker "
                    "of 'serve --listen' takes new ones up by itself, Mosquitto and NATS do not. "
                    "Simulate against that one, or against a listener without TLS on loopback"
                )
                raise BrokerRefusedError(message) from error
            return
    finally:
        authority.revoke(site, _PROBE)
