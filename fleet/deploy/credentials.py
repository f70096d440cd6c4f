"""A device's credentials for a deploy: made now, or before by `enroll`."""

from __future__ import annotations

from pathlib import Path

from contract.access import Access, username_of
from contract.errors import AccessError
from fleet.authority.authority import Authority
from fleet.authority.credentials import PASSWORD_NAME, Credentials
from fleet.authority.passwords import is_password
from fleet.deploy.order import Order
from fleet.errors import OrderError


def given_password(folder: Path) -> str:
    """The password in a folder that `enroll` wrote.

    Raises:
        OrderError: there is none.
    """
    try:
        return Access(password_file=folder / PASSWORD_NAME).password() or ""
    except AccessError as error:
        message = f"--credentials: {error}; 'edgewright-fleet enroll' writes it"
        raise OrderError(message) from error


def credentials_for(order: Order, site: str, device: str) -> Credentials:
    """Credentials of a device: new ones, not accepted yet, or those in the folder of the order.

    Raises:
        OrderError: the folder holds no password, or not that of this device.
        AuthorityError: the authority cannot be used.
    """
    authority = Authority.existing(order.authority)
    if order.credentials is None:
        return authority.draft(site, device)
    username = username_of(site, device)
    password = given_password(order.credentials)
    account = authority.accounts().get(username)
    if account is None or not is_password(password, account):
        message = (
            f"--credentials {order.credentials}: not the password of {username}; enroll it again "
            "with 'edgewright-fleet enroll', or leave --credentials out"
        )
        raise OrderError(message)
    return Credentials(username=username, password=password, ca_pem=authority.ca_file.read_bytes())


def accept(order: Order, credentials: Credentials) -> None:
    """Let the device in with these, now that it has them; those before are void.

    Not earlier: where they do not arrive, the device goes on with what it has.

    Raises:
        AuthorityError: the authority cannot be used.
    """
    if order.credentials is None:
        Authority.existing(order.authority).accept(credentials)


def is_needed(order: Order, there: str | None, site: str, device: str) -> bool:
    """Whether a box with the password `there` needs another one.

    Raises:
        AuthorityError: the authority cannot be used.
    """
    if order.new_password or there is None:
        return True
    account = Authority.existing(order.authority).accounts().get(username_of(site, device))
    return account is None or not is_password(there, account)
