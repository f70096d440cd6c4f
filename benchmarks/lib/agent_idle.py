"""The section `idle`: memory, processor and wake-ups of an agent at rest, and how it starts."""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from rich.table import Table

from agent.affinity import usable_cores
from agent.probes.load import LoadMeter
from benchmarks.lib.agent_occasion import Occasion
from benchmarks.lib.agent_process import Agent, collector, running, start_seconds
from benchmarks.lib.findings import Finding
from benchmarks.lib.tables import measured_table
from contract.address import BrokerAddress

_SECONDS, _QUICK_SECONDS = 60.0, 10.0
_STARTS, _QUICK_STARTS = 10, 3
#: After the last result was acknowledged, so that what follows on it is over.
_SETTLE_SECONDS = 3.0
_MEGABYTE = 1_000_000


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """One agent over a while, its sweep done and its results delivered."""

    has_broker: bool
    seconds: float
    #: VmRSS: what it holds of the machine's memory, libraries that others share included.
    rss_bytes: int
    #: Pss: the same, shared pages divided by those who share them; None where not told.
    pss_bytes: int | None
    peak_rss_bytes: int
    threads: int
    #: Share (0..1) of one core, by `/proc/PID/stat`, which counts in hundredths of a second.
    cpu_share: float
    #: The same by the scheduler's account in nanoseconds; None where it keeps none.
    exact_cpu_share: float | None
    switches_per_s: float
    #: Share (0..1) of all cores that went to others meanwhile.
    foreign_share: float | None


class Starts(msgspec.Struct, frozen=True, kw_only=True):
    """Several starts, in seconds from the start of the process."""

    has_broker: bool
    #: Until it told its supervisor so.
    ready_s: list[float]
    #: Until a subscriber had its inventory; empty without a broker.
    announced_s: list[float]


class Idle(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    rests: list[Rest]
    starts: list[Starts]


def measure_idle(occasion: Occasion) -> Finding:
    """Measure with a broker and without one, each after a sweep of the agent's own.

    Raises:
        BuilderError: collector or agent did not get as far as they should.
    """
    seconds = occasion.seconds or (_QUICK_SECONDS if occasion.quick else _SECONDS)
    count = _QUICK_STARTS if occasion.quick else _STARTS
    rests, starts = [], []
    with collector(occasion.scratch) as broker, _nobody() as away:
        for number, address in enumerate((broker, away)):
            has_broker = address is broker
            name = "with a broker" if has_broker else "without one"
            occasion.progress.update(f"idle {name}", 2 * number, 4)
            rests.append(_rest(occasion, address, seconds, has_broker=has_broker))
            occasion.progress.update(f"starting {name}", 2 * number + 1, 4)
            starts.append(_starts(occasion, address, count, has_broker=has_broker))
    return Finding(
        document=Idle(rests=rests, starts=starts),
        tables=[rest_table(rests), start_table(starts)],
        remarks=[
            f"other processes took {rest.foreign_share:.1%} of the cores meanwhile"
            for rest in rests
            if rest.foreign_share is not None
        ],
    )


def rest_table(rests: list[Rest]) -> Table:
    """One row with a broker, one without."""
    columns = ("RSS MB", "Pss MB", "peak MB", "threads", "CPU %", "exact %", "switches/s")
    table = measured_table(f"At rest, over {rests[0].seconds:.0f} s: one core is 100 %", columns)
    for rest in rests:
        table.add_row(
            _name(rest.has_broker),
            f"{rest.rss_bytes / _MEGABYTE:.1f}",
            "" if rest.pss_bytes is None else f"{rest.pss_bytes / _MEGABYTE:.1f}",
            f"{rest.peak_rss_bytes / _MEGABYTE:.1f}",
            str(rest.threads),
            f"{rest.cpu_share:.2%}".rstrip("%"),
            "" if rest.exact_cpu_share is None else f"{rest.exact_cpu_share:.3%}".rstrip("%"),
            f"{rest.switches_per_s:.1f}",
        )
    return table


def start_table(starts: list[Starts]) -> Table:
    """One row with a broker, one without."""
    columns = ("starts", "ready s", "most", "announced s", "most")
    table = measured_table("Start: median and most of seconds since exec", columns)
    for one in starts:
        pairs = (
            (f"{statistics.median(some):.2f}", f"{max(some):.2f}") if some else ("", "")
            for some in (one.ready_s, one.announced_s)
        )
        cells = [cell for pair in pairs for cell in pair]
        table.add_row(_name(one.has_broker), str(len(one.ready_s)), *cells)
    return table


def _rest(occasion: Occasion, broker: BrokerAddress, seconds: float, *, has_broker: bool) -> Rest:
    scratch = _folder(occasion, has_broker=has_broker)
    with running(scratch, occasion.bundles, broker) as agent:
        agent.await_log("its sweep is done", "event=sweep_ends")
        if has_broker:
            agent.await_log("all is delivered", " unacknowledged=0")
        _let_workers_end(agent)
        time.sleep(_SETTLE_SECONDS)
        before, began = agent.usage(), time.monotonic()
        meter = LoadMeter(
            Path("/"), cores=usable_cores(), own_seconds=lambda: agent.usage().cpu_seconds
        )
        time.sleep(seconds)
        after, elapsed = agent.usage(), time.monotonic() - began
        exact = None
        if before.exact_cpu_seconds is not None and after.exact_cpu_seconds is not None:
            exact = (after.exact_cpu_seconds - before.exact_cpu_seconds) / elapsed
        return Rest(
            has_broker=has_broker,
            seconds=elapsed,
            rss_bytes=agent.bytes_of("status", "VmRSS") or 0,
            pss_bytes=agent.bytes_of("smaps_rollup", "Pss"),
            peak_rss_bytes=agent.bytes_of("status", "VmHWM") or 0,
            threads=len(agent.tasks()),
            cpu_share=(after.cpu_seconds - before.cpu_seconds) / elapsed,
            exact_cpu_share=exact,
            switches_per_s=(after.switches - before.switches) / elapsed,
            foreign_share=meter.foreign_share(),
        )


def _starts(occasion: Occasion, broker: BrokerAddress, count: int, *, has_broker: bool) -> Starts:
    scratch = _folder(occasion, has_broker=has_broker)
    found = [
        start_seconds(scratch, occasion.bundles, broker, is_there=has_broker) for _ in range(count)
    ]
    return Starts(
        has_broker=has_broker,
        ready_s=[ready_s for ready_s, _ in found],
        announced_s=[announced_s for _, announced_s in found if announced_s is not None],
    )


def _folder(occasion: Occasion, *, has_broker: bool) -> Path:
    """Folder of the agent that has a broker, or of the one that has none."""
    folder = occasion.scratch / ("connected" if has_broker else "alone")
    folder.mkdir(exist_ok=True)
    return folder


def _let_workers_end(agent: Agent) -> None:
    while agent.has_children():
        time.sleep(_SETTLE_SECONDS / 10)


@contextmanager
def _nobody() -> Iterator[BrokerAddress]:
    """An address where connections are refused for as long as the block runs."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield BrokerAddress("127.0.0.1", int(bound.getsockname()[1]))


def _name(has_broker: bool) -> str:  # noqa: FBT001 - one word a row
    return "with a broker" if has_broker else "broker away"
