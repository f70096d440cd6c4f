"""`edgewright-fleet simulate`: a fleet that does not exist, against a broker that does."""

from __future__ import annotations

import resource
import signal
import tempfile
import threading
import time
from pathlib import Path

import click
from rich.progress import BarColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from contract.address import parse_broker_url
from contract.benchmark import MAX_SAMPLES
from contract.exits import Exit
from edgewright.console import Console, TextColumn
from fleet.commands.numbers import FiniteRange
from fleet.commands.options import authority_option, broker_option, json_option
from fleet.commands.printing import console, print_json, print_lines
from fleet.errors import PlanError
from fleet.garbage import expect_many_objects
from fleet.reports.simulation import simulation_lines, simulation_table
from fleet.simulating.accounts import accounts_for
from fleet.simulating.plan import MOST_CONNECTIONS, MOST_DEVICES, Plan, check_plan
from fleet.simulating.simulation import Progress, Simulation

_CONNECTIONS = 200
_DURATION_S = 30.0
#: Files that are open beside the connections, generously.
_OTHER_FILES = 64
_SHARE = FiniteRange(0.0, 1.0)


@click.command()
@click.option("--devices", type=click.IntRange(1, MOST_DEVICES), default=50, show_default=True)
@click.option(
    "--rate",
    type=FiniteRange(0.0, min_open=True),
    default=50.0,
    show_default=True,
    help="Results a second of all devices together.",
)
@click.option(
    "--duration",
    "duration_s",
    type=FiniteRange(0.0, min_open=True),
    metavar="SECONDS",
    help=f"How long results are made.  [default: {_DURATION_S:g}, or until --results]",
)
@click.option(
    "--results", type=click.IntRange(1), metavar="NUMBER", help="End after so many results."
)
@click.option("--site", default="simulated", show_default=True)
@click.option("--seed", default=0, show_default=True, help="Another one is another fleet.")
@click.option(
    "--variants",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Variants in each device's bundle set.",
)
@click.option(
    "--samples",
    type=click.IntRange(0, MAX_SAMPLES),
    default=0,
    show_default=True,
    help="Raw latencies that each result carries; 0: only what follows from them.",
)
@click.option(
    "--connections",
    type=click.IntRange(1, MOST_CONNECTIONS),
    metavar="NUMBER",
    help="MQTT connections that carry the devices. As many as there are devices: each has its own "
    "and a last will of its own, as agents do. Fewer: devices share them, and the last will of a "
    f"connection is that of its first device.  [default: one a device, up to {_CONNECTIONS}]",
)
@click.option(
    "--churn",
    type=FiniteRange(0.0),
    default=0.0,
    help="How often a device goes away in a minute, for 2 to 20 s; 0.1: one in ten does. Half of "
    "them say nothing, where the connection is their own.",
)
@click.option(
    "--duplicates", type=_SHARE, default=0.0, help="Share of the results that are sent twice."
)
@click.option(
    "--clock-faults",
    type=_SHARE,
    default=0.0,
    help="Share of the boxes whose clock began in 1970, drifts, or is a year ahead.",
)
@click.option(
    "--malformed",
    type=_SHARE,
    default=0.0,
    help="Messages that belong into quarantine, as a share of the results.",
)
@click.option(
    "--storm",
    "storms_s",
    type=FiniteRange(0.0),
    multiple=True,
    metavar="SECONDS",
    help="So long after the start, break all connections and make them again at once; repeatable.",
)
@click.option(
    "--grace",
    "grace_s",
    type=FiniteRange(0.0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long the last results may take to be acknowledged.",
)
@broker_option
@authority_option
@json_option
def simulate(
    *,
    devices: int,
    rate: float,
    duration_s: float | None,
    results: int | None,
    site: str,
    seed: int,
    variants: int,
    samples: int,
    connections: int | None,
    churn: float,
    duplicates: float,
    clock_faults: float,
    malformed: float,
    storms_s: tuple[float, ...],
    grace_s: float,
    broker_url: str,
    authority_folder: Path,
    as_json: bool,
) -> None:
    """Simulate devices that measure and report over real MQTT connections.

    They follow the wire contract: what they measured is kept and sent again until the fleet says
    that it is stored. Latency, memory and energy follow a model of ten kinds of boxes and were
    measured nowhere. Devices and results appear in the store like any others, under --site.

    Where the broker speaks TLS, each device is enrolled in the --authority for as long as the
    simulation runs, and needs a connection of its own.

    Ctrl-C ends the making of results, and a second one everything.

    Exit codes: 0 every result is acknowledged; 1 some are not after the grace, or the broker is
    away; 2 wrong use. A rate that was not kept is said, and is no failure.
    """
    address = parse_broker_url(broker_url)
    plan = check_plan(
        Plan(
            site=site,
            devices=devices,
            connections=connections or (devices if address.tls else min(devices, _CONNECTIONS)),
            rate=rate,
            results=results,
            duration_s=duration_s if duration_s or results else _DURATION_S,
            seed=seed,
            variants=variants,
            samples=samples,
            churn=churn,
            duplicates=duplicates,
            clock_faults=clock_faults,
            malformed=malformed,
            storms_s=storms_s,
            grace_s=grace_s,
        )
    )
    _allow_sockets(plan)
    expect_many_objects()
    stop = _stop_at_signals()
    with (
        tempfile.TemporaryDirectory(prefix="edgewright-") as folder,
        accounts_for(plan, address, authority_folder, Path(folder)) as access_of,
        _bar(plan) as bar,
    ):
        simulation = Simulation(plan, address, run=f"{time.time_ns():x}", access_of=access_of)
        task = bar.add_task("", total=1.0, told="")

        def tell(progress: Progress) -> None:
            told = (
                f"{progress.made:,} made, {progress.acknowledged:,} acknowledged, "
                f"{progress.aboard:,} of {plan.devices:,} devices connected"
            )
            bar.update(task, completed=progress.share, told=told)

        report = simulation.run(stop, on_progress=tell)
    if as_json:
        print_json(report)
    else:
        print_lines(simulation_lines(report))
        console().print(simulation_table(report))
    raise SystemExit(int(Exit.FAILED if report.outstanding else Exit.DONE))


def _allow_sockets(plan: Plan) -> None:
    """Let this process open as many files as the connections need."""
    needed = min(plan.connections, plan.devices) + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and needed > hard:
        message = (
            f"connections {plan.connections}: a process may open {hard} files here; expected at "
            f"most {hard - _OTHER_FILES}, or a higher limit (ulimit -n)"
        )
        raise PlanError(message)
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _stop_at_signals() -> threading.Event:
    """Set at the first SIGTERM or Ctrl-C; the second one ends the process at once."""
    stop = threading.Event()

    def stop_or_end(*_: object) -> None:
        if stop.is_set():
            raise SystemExit(int(Exit.FAILED))
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop_or_end)
    return stop


def _bar(plan: Plan) -> Bar:
    """Progress on standard error."""
    return Bar(
        TextColumn(f"{plan.devices:,} devices, {plan.rate:g}/s"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[told]}"),
        console=Console(stderr=True),
    )
