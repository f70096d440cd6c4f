"""`edgewright-fleet deploy`: the agent on a box, in one command over ssh."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec

from contract.address import DEFAULT_TLS_PORT
from fleet.authority.authority import Authority, fleet_access
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, json_option
from fleet.commands.printing import print_json, print_lines
from fleet.deploy.announcement import listening
from fleet.deploy.credentials import accept, credentials_for
from fleet.deploy.deployment import Deployment, Listener
from fleet.deploy.lock import locked
from fleet.deploy.order import Order
from fleet.deploy.plan import plan
from fleet.deploy.preparation import Prepared, find_place, has_changed, prepare
from fleet.deploy.removal import removal
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Step
from fleet.deploy.survey import survey
from fleet.deploy.telling import (
    Outcome,
    Removed,
    dry_lines,
    dry_steps,
    facts_lines,
    outcome_lines,
    removed_text,
)
from fleet.errors import DeployError

_BROKER_PATIENCE_S = 15.0
_MB = 1_000_000
_SHOW_EVERY_S = 5.0
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("target", metavar="USER@HOST")
@click.option("--site", metavar="S", help="Site of the device.  [default: as before, else default]")
@click.option(
    "--device", metavar="D", help="Name of the device.  [default: as before, else its host name]"
)
@click.option("--bundles", metavar="DIR", type=_FOLDER, help="Bundle set to copy.")
@click.option(
    "--user",
    "for_user",
    is_flag=True,
    help="Install for the user who logs in, without root: below ~/.local/share/edgewright, with "
    "systemd --user where that runs, else as a process that nobody starts again.",
)
@click.option("--prefix", metavar="DIR", help="With --user: install below this folder of the box.")
@click.option(
    "--broker",
    metavar="URL",
    help="Where the device finds the broker.  [default: as before, else this machine by TLS at "
    f"port {DEFAULT_TLS_PORT}]",
)
@click.option(
    "--broker-here",
    metavar="URL",
    help="Where this machine finds the same broker.  [default: the same]",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Another key of agent.toml, such as threads='[1, 4]'; repeat it for several. Keys that "
    "stand there already stay.",
)
@click.option("--python", metavar="PATH", help="Python of the box to use.  [default: looked for]")
@click.option(
    "--torch-index",
    metavar="URL",
    help="Index with CPU builds of torch, for boxes (x86) where the usual one is for GPUs.",
)
@click.option(
    "--wheelhouse",
    metavar="DIR",
    type=_FOLDER,
    help="Folder with all wheels that the box needs; they are copied, and no index is asked.",
)
@click.option(
    "--system-site-packages",
    "system_packages",
    is_flag=True,
    help="Let the agent see the packages of the box's Python, such as Debian's python3-torch, "
    "and take torch from there where it is 2.9 or later.",
)
@click.option("--wheel", metavar="FILE", type=_FILE, help="Wheel to install.  [default: of this]")
@click.option(
    "--constraints",
    metavar="FILE",
    type=_FILE,
    help="Versions of what the agent needs, as pip -c takes them.  [default: those tested here]",
)
@click.option("--new-password", is_flag=True, help="Give the device a new password.")
@click.option(
    "--credentials",
    metavar="DIR",
    type=_FOLDER,
    help="What 'edgewright-fleet enroll' wrote for the device, instead of enrolling it now; for a "
    "broker that has to be told of new accounts, such as Mosquitto.",
)
@click.option(
    "--ask-sudo-password",
    is_flag=True,
    help="Ask here for the password that sudo wants there.",
)
@click.option(
    "--ssh-config",
    metavar="FILE",
    type=_FILE,
    help="Configuration of ssh.  [default: the user's own]",
)
@click.option(
    "--timeout-s",
    type=FiniteRange(min=1),
    default=180.0,
    show_default=True,
    help="How long to wait for the device's announcement.",
)
@click.option(
    "--dry-run", is_flag=True, help="Look at the box, print the steps, and change nothing."
)
@click.option(
    "--remove",
    is_flag=True,
    help="Take the agent off the box again; its settings and what it measured stay.",
)
@click.option("--purge", is_flag=True, help="With --remove: those go as well.")
@authority_option
@json_option
def deploy(
    *,
    ask_sudo_password: bool,
    authority_folder: Path,
    as_json: bool,
    **given: object,
) -> None:
    """Put the agent on a box, or a newer one in its place, over ssh.

    Looks at the box first: processor, Python, disk, way to the broker. Then it prepares a new
    release beside the one that runs, proves it there, enrolls the device, switches over, and
    waits until the device announces itself at the broker; 'edgewright-fleet serve' must run.
    Where that fails, the old agent is brought back. A second run upgrades: site, device,
    state and what the operator added to agent.toml stay.

    ssh is the system's own, with the user's keys, configuration and known hosts. Without --user,
    the steps that need root go through sudo; --dry-run marks them.

    \b
    Exit code: 0 when the device announced itself; 1 when a step failed, and the message says
               which, why, and what runs now; 2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    order = msgspec.convert(given | {"authority": authority_folder}, Order)
    if order.prefix is not None and not order.for_user:
        message = "--prefix goes with --user"
        raise click.UsageError(message)
    if order.purge and not order.remove:
        message = "--purge goes with --remove"
        raise click.UsageError(message)
    signal.signal(signal.SIGTERM, _interrupt)
    password = click.prompt("Password for sudo", hide_input=True) if ask_sudo_password else None
    ssh = Ssh(
        order.target,
        config=order.ssh_config,
        may_ask=sys.stdin.isatty(),
        sudo_password=password,
    )
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch, ssh:
        if order.remove:
            _remove(ssh, order, as_json=as_json)
            return
        found = prepare(ssh, order, Path(scratch), now=time.time())
        steps = plan(found.wanted, found.there)
        print_lines(facts_lines(order, found), err=True)
        if order.dry_run:
            _print_dry(steps, as_json=as_json)
            return
        outcome = _perform(ssh, order, found, steps)
    if as_json:
        print_json(outcome)
    else:
        print_lines(outcome_lines(outcome))


def _interrupt(*_: object) -> None:
    # As Ctrl-C does: what was begun is ended or taken back.
    raise KeyboardInterrupt


def _perform(ssh: Ssh, order: Order, found: Prepared, steps: list[Step]) -> Outcome:
    layout, there = found.wanted.layout, found.there

    if found.broker.tls and order.broker is not None:
        # Its certificate has to name what the device calls it.
        Authority.existing(order.authority).add_names([found.broker.host])
    ear = listening(
        found.broker_here,
        access=fleet_access(found.broker_here, order.authority),
        site=found.site,
        device=found.device,
        timeout_s=_BROKER_PATIENCE_S,
    )
    lock = locked(ssh, layout, found.python, as_root=found.wanted.as_root)
    with ear as hearing, lock:
        if has_changed(ssh, found):
            message = f"{order.target}: another deploy changed the box just now; look, then again"
            raise DeployError(message)
        deployment = Deployment(
            ssh,
            found.wanted,
            there,
            ear=hearing,
            enroll=lambda: credentials_for(order, found.site, found.device),
            accept=lambda credentials: accept(order, credentials),
            timeout_s=order.timeout_s,
            listener=_Teller(),
        )
        inventory = deployment.perform(steps)
    bundles = found.wanted.bundles
    return Outcome(
        site=found.site,
        device=found.device,
        target=order.target,
        release=found.wanted.release.name,
        previous_release=there.release,
        keeper=layout.keeper.value,
        torch=inventory.torch if inventory is not None else None,
        bundle_set=bundles.name if bundles is not None else there.set_name,
        broker=str(found.broker),
        notes=[*found.remarks, *deployment.notes],
    )


def _remove(ssh: Ssh, order: Order, *, as_json: bool) -> None:
    place = find_place(ssh, order)
    layout = place.layout
    there = survey(ssh, layout, place.python)
    steps = removal(layout, purge=order.purge, as_root=place.as_root)
    if order.dry_run:
        _print_dry(steps, as_json=as_json)
        return
    if there.release is not None:
        with locked(ssh, layout, place.python, as_root=place.as_root):
            for number, step in enumerate(steps, start=1):
                _Teller().begin(number, len(steps), step)
                ssh.run(step.script, as_root=step.as_root)
    kept = [] if order.purge or there.release is None else [layout.config, layout.state]
    removed = Removed(target=order.target, release=there.release, kept=[str(one) for one in kept])
    if as_json:
        print_json(removed)
    else:
        print_lines([removed_text(removed)])


def _print_dry(steps: Sequence[Step], *, as_json: bool) -> None:
    if as_json:
        print_json(dry_steps(steps))
    else:
        print_lines(dry_lines(steps))


class _Teller(Listener):
    """Says on standard error how it goes on."""

    def __init__(self) -> None:
        self._sent = 0
        self._shown_at = 0.0

    def begin(self, number: int, total: int, step: Step) -> None:
        self._sent = 0
        self._shown_at = time.monotonic()
        by = " (root)" if step.as_root else ""
        print_lines([f"[{number}/{total}] {step.title}{by}"], err=True)

    def sent(self, count: int) -> None:
        self._sent += count
        now = time.monotonic()
        if now - self._shown_at > _SHOW_EVERY_S:
            self._shown_at = now
            print_lines([f"      {self._sent / _MB:.1f} MB"], err=True)

    def end(self, detail: str) -> None:
        if detail:
            print_lines([f"      {detail}"], err=True)
