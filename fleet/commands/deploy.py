"""`edgewright-fleet deploy`: the agent on a box, in one command over ssh."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
from click.core import ParameterSource

from contract.address import DEFAULT_TLS_PORT
from contract.exits import Exit
from fleet.commands.hosts_output import hosts_progress, print_results
from fleet.commands.interruptible import until_done
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, json_option
from fleet.commands.printing import print_json, print_lines
from fleet.deploy.box_deploy import BoxDeploy, Identities
from fleet.deploy.deployment import Listener
from fleet.deploy.hosts_file import EXAMPLE, read_hosts
from fleet.deploy.hosts_run import HostsRun, waiting
from fleet.deploy.interrupt import Interrupt
from fleet.deploy.local_files import LocalFiles
from fleet.deploy.order import Order, check_target
from fleet.deploy.preparation import check_values
from fleet.deploy.ssh import Ssh
from fleet.deploy.steps import Step
from fleet.deploy.telling import (
    DryStep,
    Outcome,
    Removed,
    dry_lines,
    dry_steps,
    outcome_lines,
    removed_lines,
)

_MB = 1_000_000
_SENT_SHOWN_EVERY_S, _WAIT_SHOWN_EVERY_S = 5.0, 20.0
#: Options that say which box, where on it, and how it is told.
_OF_REMOVAL = frozenset((
    "--hosts", "--parallel", "--user", "--prefix", "--python", "--ask-sudo-password",
    "--ssh-config", "--authority", "--dry-run", "--remove", "--purge", "--json",
))  # fmt: skip
#: The keys are explained once, where they are read; click reads \b as "keep these lines".
_HOSTS_HELP = f"""\b
FILE of --hosts:

\b
{EXAMPLE}""".replace("\n\n[[", "\n\n\b\n[[")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(epilog=_HOSTS_HELP)
@click.argument("target", metavar="USER@HOST", required=False)
@click.option(
    "--hosts",
    "hosts_file",
    metavar="FILE",
    type=_FILE,
    help="Many boxes instead of one: a TOML file, explained below.",
)
@click.option(
    "--parallel",
    metavar="N",
    type=click.IntRange(min=1, max=64),
    default=4,
    show_default=True,
    help="With --hosts: so many boxes at a time.",
)
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
    "--keep-failed",
    is_flag=True,
    help="Leave a release that failed on the box, to look at.  [default: removed at once]",
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
@click.pass_context
def deploy(
    context: click.Context,
    /,
    *,
    hosts_file: Path | None,
    parallel: int,
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

    With --hosts, many boxes: a failure of one stops no other, and a second run does only what
    is missing. Options given beside it hold for every box, before what FILE says.

    \b
    Exit code: 0 when the device announced itself; 1 when a step failed, and the message says
               which, why, and what runs now; 2 for wrong use.
    """  # noqa: D301 - click reads \b as "keep these lines"
    one_box = Order(target="", authority=authority_folder, timeout_s=1.0)
    order = msgspec.convert(
        msgspec.structs.asdict(one_box) | given | {"target": given["target"] or ""}, Order
    )
    _check_use(context, order, hosts_file)
    orders = [order]
    if hosts_file is not None:
        check_values(order)
        orders = read_hosts(hosts_file, _given(context, given), order)
    else:
        check_target(order.target)
    password = click.prompt("Password for sudo", hide_input=True) if ask_sudo_password else None
    interrupt = Interrupt()
    with tempfile.TemporaryDirectory(prefix="edgewright-") as scratch:
        files, identities = LocalFiles(Path(scratch)), Identities()
        if hosts_file is None:
            box = BoxDeploy(files=files, identities=identities, tell=_tell)
            document = until_done(lambda: _one(box, order, password, interrupt), interrupt)
            if as_json:
                print_json(document)
            else:
                print_lines(_lines(document))
            return
        boxes = BoxDeploy(files=files, identities=identities, tell=lambda _: None)
        with hosts_progress(waiting(orders)) as on_change:
            run = HostsRun(
                orders, boxes, interrupt=interrupt, sudo_password=password, on_change=on_change
            )
            results = until_done(lambda: run.perform(parallel=parallel), interrupt)
    if as_json:
        print_json(results)
    else:
        print_results(results)
    if any(one.status.is_bad for one in results):
        raise SystemExit(int(Exit.FAILED))


def _check_use(context: click.Context, order: Order, hosts_file: Path | None) -> None:
    problem = None
    if order.target and hosts_file is not None:
        problem = "USER@HOST or --hosts FILE, not both"
    elif not order.target and hosts_file is None:
        problem = "expected USER@HOST, or --hosts FILE with many of them"
    elif hosts_file is None and _is_given(context, "parallel"):
        problem = "--parallel goes with --hosts"
    elif hosts_file is not None and (order.device is not None or order.credentials is not None):
        option = "--device" if order.device is not None else "--credentials"
        problem = f"{option} is of one box; with --hosts it goes into FILE, below its [[hosts]]"
    elif order.prefix is not None and not order.for_user and hosts_file is None:
        problem = "--prefix goes with --user"
    elif order.purge and not order.remove:
        problem = "--purge goes with --remove"
    elif order.for_user and hosts_file is None and _is_given(context, "ask_sudo_password"):
        problem = "--ask-sudo-password goes without --user, which needs no root"
    elif order.remove:
        problem = _not_of_removal(context)
    if problem is not None:
        raise click.UsageError(problem)


def _not_of_removal(context: click.Context) -> str | None:
    """What is wrong with the options beside `--remove`; None where nothing is."""
    options = [one.opts[0] for one in context.command.params if _is_given(context, one.name or "")]
    useless = [one for one in options if one.startswith("--") and one not in _OF_REMOVAL]
    return f"{', '.join(useless)}: a removal has no use for it; leave it out" if useless else None


def _given(context: click.Context, values: Mapping[str, object]) -> dict[str, object]:
    """Fields of an order that stand on the command line."""
    return {key: one for key, one in values.items() if _is_given(context, key)}


def _is_given(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def _one(
    box: BoxDeploy, order: Order, password: str | None, interrupt: Interrupt
) -> Outcome | Removed | list[DryStep]:
    box.check(order)
    ssh = Ssh(
        order.target,
        config=order.ssh_config,
        may_ask=sys.stdin.isatty(),
        sudo_password=password,
        interrupt=interrupt.for_one_box(),
    )
    _tell(f"{order.target}: connect and look")
    with ssh:
        if order.remove:
            return box.remove(ssh, order, _StepPrinter())
        if order.dry_run:
            _, steps = box.dry_run(ssh, order)
            return dry_steps(steps)
        return box.perform(ssh, order, _StepPrinter())


class _StepPrinter(Listener):
    """Says on standard error how it goes on."""

    def __init__(self) -> None:
        self._sent = 0
        self._shown_at = 0.0

    def begin(self, number: int, total: int, step: Step) -> None:
        self._sent = 0
        self._shown_at = time.monotonic()
        by = " (root)" if step.as_root else ""
        _tell(f"[{number}/{total}] {step.title}{by}")

    def sent(self, count: int) -> None:
        self._sent += count
        if self._is_due(_SENT_SHOWN_EVERY_S):
            _tell(f"      {self._sent / _MB:.1f} MB")

    def waiting(self, seconds: float) -> None:
        if self._is_due(_WAIT_SHOWN_EVERY_S):
            _tell(f"      {seconds:.0f} s")

    def end(self, detail: str) -> None:
        if detail:
            _tell(f"      {detail}")

    def _is_due(self, every_s: float) -> bool:
        now = time.monotonic()
        if now - self._shown_at <= every_s:
            return False
        self._shown_at = now
        return True


def _tell(line: str) -> None:
    print_lines([line], err=True)


def _lines(document: Outcome | Removed | list[DryStep]) -> list[str]:
    match document:
        case Outcome():
            return outcome_lines(document)
        case Removed():
            return removed_lines(document)
        case steps:
            return dry_lines(steps)
