"""Accounts of simulated devices, for brokers that ask for one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from contract.access import Access
from contract.address import BrokerAddress
from fleet.authority.authority import Authority
from fleet.authority.credentials import write_credentials
from fleet.errors import PlanError
from fleet.simulating.box import SimulatedDevice
from fleet.simulating.plan import Mode, Plan


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
    """
    if not address.tls:
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

    try:
        yield enroll
    finally:
        for device in enrolled:
            authority.revoke(device.site, device.name)
