"""What has to be known before the first step, and what speaks against taking it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from contract.access import username_of
from contract.address import DEFAULT_TLS_PORT, BrokerAddress, parse_broker_url
from contract.topics import check_id
from fleet.authority.authority import Authority
from fleet.deploy.box import Box, Python, look
from fleet.deploy.credentials import credentials_for, given_password, is_needed
from fleet.deploy.layout import Layout, check_prefix, system_layout, user_layout
from fleet.deploy.local_files import LocalFiles
from fleet.deploy.order import Order, check_python, check_torch_index, exclusion
from fleet.deploy.ownership import check_ownership
from fleet.deploy.plan import Wanted, leftovers_to_remove
from fleet.deploy.release import Release
from fleet.deploy.room import check_room
from fleet.deploy.settings import (
    Value,
    parse_assignments,
    parse_settings,
    reach_mistake,
    setting_mistake,
)
from fleet.deploy.ssh import Ssh
from fleet.deploy.survey import Survey, is_proven, password_there, survey, why_unreachable
from fleet.deploy.unit import unit_text
from fleet.errors import DeployError, OrderError, UnsuitableBoxError

_DEFAULT_SITE = "default"
#: Beyond this a certificate may seem not valid yet.
_CLOCK_TOLERANCE_S = 600


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """All that a deploy needs to know."""

    box: Box
    python: Python
    there: Survey
    wanted: Wanted
    site: str
    device: str
    #: As the device reaches it, and as this machine does.
    broker: BrokerAddress
    broker_here: BrokerAddress
    #: What a person should know, and nothing that stops a deploy.
    remarks: tuple[str, ...]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where on a box the agent lives."""

    box: Box
    python: Python
    layout: Layout
    as_root: bool


def find_place(ssh: Ssh, order: Order, *, is_removal: bool = False) -> Place:
    """Look at the box and see where the agent belongs there; changes nothing.

    Raises:
        UnsuitableBoxError: the box cannot run the agent; the message says what it would need.
        OrderError: the prefix is a folder with another use.
        DeployError: there is no way to become root.
    """
    box = look(ssh, python=order.python)
    if order.python is not None and not box.pythons:
        message = f"--python {order.python}: expected a Python on the box, got none that answers"
        raise UnsuitableBoxError(message)
    python = box.removing_python() if is_removal else box.suitable_python()
    layout = user_layout(box, order.prefix) if order.for_user else system_layout(box)
    if order.prefix is not None:
        check_ownership(ssh, layout)
    as_root = not order.for_user and not box.is_root
    if as_root and box.sudo == "asks" and ssh.sudo_password is None:
        message = (
            f"sudo on the box asks {box.user} for a password; give it with --ask-sudo-password"
        )
        raise DeployError(message)
    return Place(box=box, python=python, layout=layout, as_root=as_root)


def check_order(order: Order, files: LocalFiles) -> None:
    """Find what is wrong with an order before anybody connects to the box.

    Raises:
        OrderError: an option is wrong.
        ContractError: a name or an address is.
        DeployError: a file of this machine is missing or damaged.
    """
    check_values(order)
    if order.remove:
        return
    if order.credentials is not None:
        given_password(order.credentials)
        if order.site is not None and order.device is not None:
            credentials_for(order, order.site, order.device)
    files.bundles(order)
    source = files.source(order)
    files.wheel(source)
    files.wheelhouse(source)


def check_values(order: Order) -> None:
    """Find what is wrong with the values of an order, each by itself and together.

    Raises:
        OrderError, ContractError: an option is.
    """
    for field, check in VALUE_CHECKS.items():
        value = getattr(order, field)
        if value is not None:
            check(value)
    excluded = exclusion(order)
    if excluded is not None:
        one, other, why = map(str, excluded)
        message = f"{option_name(one)} goes without {option_name(other)}: {why}"
        raise OrderError(message)
    if order.broker is not None:
        _check_access(order, parse_broker_url(order.broker))
    _extra_settings(order)


def option_name(field: str) -> str:
    """An option of deploy as the command line has it."""
    return f"--{field.replace('_', '-')}"


def _check_access(order: Order, broker: BrokerAddress) -> None:
    """See that a password that was asked for is of use with this broker."""
    if broker.tls or not (order.new_password or order.credentials):
        return
    option = option_name("new_password" if order.new_password else "credentials")
    message = (
        f"{option}: expected a broker with TLS, got {broker}, where the device has no password; "
        f"leave {option} out, or name a --broker mqtts://"
    )
    raise OrderError(message)


def prepare(ssh: Ssh, order: Order, files: LocalFiles, *, now: float) -> Prepared:
    """Look at the box, and at what is here; changes nothing on the box.

    Args:
        ssh: an open connection.
        order: what is asked for.
        files: what this machine sends.
        now: the present time.

    Raises:
        UnsuitableBoxError: the box cannot run the agent; the message says what it would need.
        DeployError: something else speaks against it.
    """
    extra = _extra_settings(order)
    local_set, source = files.bundles(order), files.source(order)
    place = find_place(ssh, order)
    box, python, layout, as_root = place.box, place.python, place.layout, place.as_root
    there = survey(ssh, layout, python)
    known = parse_settings(there.settings or "")
    site, device = _identity(order, known, box)
    broker = _broker(order, known)
    _check_access(order, broker)
    release = Release(source=source, python=python)
    there = msgspec.structs.replace(there, is_release_proven=is_proven(ssh, release, layout))
    packages, wheels = files.wheel(source), files.wheelhouse(source)
    left = leftovers_to_remove(there, release, packages=packages, wheels=wheels, bundles=local_set)
    check_room(
        there,
        has_own_torch=not source.system_packages,
        wheels_bytes=sum(one.bytes for one in wheels),
        set_bytes=local_set.total_bytes if local_set is not None else 0,
        freed_bytes=sum(one.bytes for one in left if one.path.startswith(f"{layout.app}/")),
    )
    if order.credentials is not None:
        # Whether they fit is better known now than after the release was installed.
        credentials_for(order, site, device)
    problem = why_unreachable(ssh, python, broker)
    if problem is not None:
        message = (
            f"the box cannot reach the broker at {broker}: {problem}. Does "
            "'edgewright-fleet serve --listen 0.0.0.0:8883' run, and does a firewall let the box "
            "in? --broker names another address"
        )
        raise DeployError(message)
    wanted = Wanted(
        layout=layout,
        release=release,
        packages=packages,
        wheels=wheels,
        unit=unit_text(layout, box) if layout.unit is not None else None,
        bundles=local_set,
        settings=_settings(layout, site=site, device=device, broker=broker) | extra,
        ca=Authority.existing(order.authority).ca_file.read_text() if broker.tls else None,
        needs_password=broker.tls
        and is_needed(order, password_there(ssh, layout, as_root=as_root), site, device),
        as_root=as_root,
    )
    return Prepared(
        box=box,
        python=python,
        there=there,
        wanted=wanted,
        site=site,
        device=device,
        broker=broker,
        broker_here=parse_broker_url(order.broker_here) if order.broker_here else broker,
        remarks=tuple(_remarks(box, there, wanted, now=now)),
    )


def has_changed(ssh: Ssh, found: Prepared) -> bool:
    """Whether somebody else deployed since `found` was found.

    Raises:
        BoxUnreachableError: the connection failed.
    """
    now, then = survey(ssh, found.wanted.layout, found.python), found.there
    return (now.release, now.settings, now.set_name) != (then.release, then.settings, then.set_name)


def _identity(order: Order, known: dict[str, Value], box: Box) -> tuple[str, str]:
    found = []
    for key, asked, default in (
        ("site", order.site, _DEFAULT_SITE),
        ("device", order.device, box.device_id),
    ):
        before = known.get(key)
        if asked is not None and before is not None and asked != before:
            # Its outbox holds what it measured under its name.
            message = (
                f"--{key} {asked}: this box is {known.get('site')}/{known.get('device')} already, "
                f"and what it has not delivered yet goes by that name; leave --{key} out"
            )
            raise OrderError(message)
        found.append(asked or str(before or default))
    site, device = found
    username_of(site, device)
    return site, device


def _broker(order: Order, known: dict[str, Value]) -> BrokerAddress:
    url = order.broker or known.get("broker")
    if url is not None:
        return check_broker(str(url))
    return BrokerAddress(Authority(order.authority).public_host(), DEFAULT_TLS_PORT, tls=True)


def check_broker(url: str) -> BrokerAddress:
    """The broker that a device may be told of.

    Raises:
        BrokerUrlError: it is no broker's URL.
        OrderError: it has no TLS and is not on the loopback.
    """
    broker = parse_broker_url(url)
    if not broker.tls and not broker.is_loopback:
        message = (
            f"--broker {broker}: expected mqtts:// off loopback, for without TLS everybody on the "
            "way can read and write"
        )
        raise OrderError(message)
    return broker


#: Of the fields of an order, what each takes.
VALUE_CHECKS: dict[str, Callable[[str], object]] = {
    "site": lambda text: check_id("site", text),
    "device": lambda text: check_id("device", text),
    "prefix": check_prefix,
    "broker": check_broker,
    "broker_here": parse_broker_url,
    "python": check_python,
    "torch_index": check_torch_index,
}


def _settings(
    layout: Layout, *, site: str, device: str, broker: BrokerAddress
) -> dict[str, Value | None]:
    return {
        "site": site,
        "device": device,
        "broker": str(broker),
        "bundles": str(layout.bundles),
        "state_dir": str(layout.state),
        "ca_file": str(layout.ca_file) if broker.tls else None,
        "password_file": str(layout.password_file) if broker.tls else None,
    }


def _extra_settings(order: Order) -> dict[str, Value | None]:
    settings = parse_assignments(order.settings)
    for text, (key, value) in zip(order.settings, settings.items(), strict=True):
        mistake = setting_mistake(key, value, named=option_name)
        if mistake is not None:
            message = f"--set {text}: {mistake.problem}; {mistake.advice}"
            raise OrderError(message)
    mistake = reach_mistake(settings)
    if mistake is not None:
        message = f"--set serve_host: {mistake.problem}; {mistake.advice}"
        raise OrderError(message)
    return dict(settings)


def _remarks(box: Box, there: Survey, wanted: Wanted, *, now: float) -> list[str]:
    remarks = []
    if abs(box.now - now) > _CLOCK_TOLERANCE_S:
        remarks.append(
            f"the clock of the box is off by {abs(box.now - now) / 3600:.1f} hours; TLS needs a "
            "right one"
        )
    if wanted.bundles is None and there.set_name is None:
        remarks.append("no bundle set is on the box; the agent announces itself and waits for one")
    if wanted.layout.unit is None:
        remarks.append(
            "systemd does not run there for this user: nobody starts the agent again when it "
            "ends or the box restarts"
        )
    return remarks
