"""The section `overhead`: what the harness adds to a plain timing loop of the same model."""

from __future__ import annotations

import statistics
import sys
import time

import msgspec
import torch
from rich.table import Table

from agent.golden import read_golden
from agent.images import standardize
from agent.protocol import Preparation
from agent.statistics import percentile
from agent.torchscript import TorchNetwork
from benchmarks.lib.agent_occasion import Occasion
from benchmarks.lib.agent_sweeps import output_of, set_of_one, sweep
from benchmarks.lib.bundles import Bundle, read_bundle
from benchmarks.lib.edgewright import agent_runtime
from benchmarks.lib.findings import Finding
from benchmarks.lib.plain_loop import prepared
from benchmarks.lib.rounds import Pace, Ratio, latency, ratio, time_in_rounds
from benchmarks.lib.serving import free_cores
from benchmarks.lib.tables import measured_table
from contract.bundleset import read_set
from contract.interval import median_interval

_PAIRS, _QUICK_PAIRS = 20, 3
_SECONDS, _QUICK_SECONDS = 2.0, 0.5
_FLOOR = 0.05
#: Of calls in one process: many short rounds, for drift to meet both alike.
_CALLS = Pace(rounds=60, timed_calls=10)
_HARNESS, _PLAIN = "harness", "plain"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One agent's sweep and one plain loop after it or before it: medians and floors.

    The floor, of which 5 % are below, is what a call takes while no neighbour disturbs it.
    """

    harness_ms: float
    plain_ms: float
    harness_floor_ms: float
    plain_floor_ms: float


class PairedRatio(msgspec.Struct, frozen=True, kw_only=True):
    """Harness by plain: the median over the pairs, and its 95 % interval."""

    ratio: float
    low: float | None
    high: float | None


class Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """One variant, on one thread; ratios are harness by plain, so 1.02 is 2 % of overhead."""

    variant: str
    preparation: str
    #: Both as processes of their own, alternating, on the same core.
    pairs: list[Pair]
    medians: PairedRatio
    floors: PairedRatio
    #: Calls of one process: the agent's way to call a network against a bare call.
    calls: Ratio
    call_harness_ms: float
    call_plain_ms: float


class Overheads(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    #: Core that everything was held to, the agent and its workers together.
    core: int
    seconds: float
    variants: list[Overhead]


def measure_overhead(occasion: Occasion) -> Finding:
    """Hold the harness against a plain loop, process by process and call by call.

    The agent is held to the same core as its worker, so that all its work is in the figure; on
    a box with more cores it has one of the others.

    Raises:
        BuilderError: one of them failed.
        ContractError: a bundle cannot be read.
    """
    core, _ = free_cores()
    seconds = occasion.seconds or (_QUICK_SECONDS if occasion.quick else _SECONDS)
    names = [member.variant for member in read_set(occasion.bundles).members]
    found = Overheads(
        core=core,
        seconds=seconds,
        variants=[
            _measured(read_bundle(occasion.bundles, name, None), occasion, core, seconds)
            for name in names
        ],
    )
    remark = (
        f"held to core {core}, the agent beside its worker; {seconds:g} s of samples a process; "
        "pairs of processes alternate, calls of one process alternate by tens; floor: the latency "
        "that 5 % of the calls stay below"
    )
    return Finding(document=found, tables=[_table(found)], remarks=[remark])


def _measured(bundle: Bundle, occasion: Occasion, core: int, seconds: float) -> Overhead:
    variant = bundle.member.variant
    bundles = set_of_one(occasion.bundles, variant, occasion.scratch / variant)
    # Two turns of the set's only variant.
    options = ("--rounds", "2", "--min-seconds", str(seconds / 2))
    preparation = sweep(bundles, *options, core=core)[0].preparation or Preparation.FROZEN.value
    side = str(bundle.manifest.preprocessing.input_size)
    plain_words = [sys.executable, "-m", "benchmarks.lib.plain_loop", str(bundle.path)]
    plain_words += [preparation, str(seconds), side]

    def harness_ms() -> list[float]:
        return sweep(bundles, *options, core=core)[0].samples_ms

    def plain_ms() -> list[float]:
        return msgspec.json.decode(output_of(plain_words, core=core), type=list[float])

    pairs: list[Pair] = []
    wanted = _QUICK_PAIRS if occasion.quick else _PAIRS
    for number in range(wanted):
        # Whoever comes second has a warmer core; that takes turns.
        if number % 2:
            plain, harness = plain_ms(), harness_ms()
        else:
            harness, plain = harness_ms(), plain_ms()
        pairs.append(_pair(sorted(harness), sorted(plain)))
        occasion.progress.update(f"{variant}: harness and plain loop", number + 1, wanted)
    calls, call_harness_ms, call_plain_ms = _calls(bundle, Preparation(preparation))
    return Overhead(
        variant=variant,
        preparation=preparation,
        pairs=pairs,
        medians=_paired_ratio([pair.harness_ms / pair.plain_ms for pair in pairs]),
        floors=_paired_ratio([pair.harness_floor_ms / pair.plain_floor_ms for pair in pairs]),
        calls=calls,
        call_harness_ms=call_harness_ms,
        call_plain_ms=call_plain_ms,
    )


def _pair(harness_ms: list[float], plain_ms: list[float]) -> Pair:
    return Pair(
        harness_ms=percentile(harness_ms, 0.5),
        plain_ms=percentile(plain_ms, 0.5),
        harness_floor_ms=percentile(harness_ms, _FLOOR),
        plain_floor_ms=percentile(plain_ms, _FLOOR),
    )


def _paired_ratio(ratios: list[float]) -> PairedRatio:
    interval = median_interval(ratios)
    return PairedRatio(
        ratio=statistics.median(ratios),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _calls(bundle: Bundle, preparation: Preparation) -> tuple[Ratio, float, float]:
    """Ratio and both medians, in processor time: what others take of the core is not in it."""
    runtime = agent_runtime()
    engine = bundle.manifest.quantization.engine
    if engine is not None:
        torch.backends.quantized.engine = engine
    module = prepared(str(bundle.path), preparation.value)
    network = TorchNetwork(module, engine if engine in runtime.engines() else None)
    vectors = read_golden(bundle.path, bundle.manifest)
    inputs = standardize(vectors.images[:1], bundle.manifest.preprocessing)
    tensor = torch.from_numpy(inputs)

    def plain() -> object:
        return module(tensor)

    # The block is in inference mode as a plain loop is.
    with network.repeating(inputs) as harness:
        samples = time_in_rounds(
            {_HARNESS: harness, _PLAIN: plain},
            _CALLS,
            seed=0,
            on_round=lambda _: None,
            clock_ns=time.thread_time_ns,
        )
    harness_ms, plain_ms = (latency(samples[name]).p50_ms for name in (_HARNESS, _PLAIN))
    return ratio(_PLAIN, _HARNESS, samples), harness_ms, plain_ms


def _table(found: Overheads) -> Table:
    table = measured_table(
        "The harness against a plain timing loop",
        ("harness ms", "plain ms", "ratio", "95 %", "ratio of floors", "95 %", "one call: ratio"),
    )
    for one in found.variants:
        table.add_row(
            one.variant,
            f"{statistics.median(pair.harness_ms for pair in one.pairs):.3f}",
            f"{statistics.median(pair.plain_ms for pair in one.pairs):.3f}",
            f"{one.medians.ratio:.3f}",
            _told(one.medians),
            f"{one.floors.ratio:.3f}",
            _told(one.floors),
            f"{one.calls.times_faster:.3f}",
        )
    return table


def _told(paired: PairedRatio) -> str:
    return "-" if paired.low is None else f"{paired.low:.3f} to {paired.high:.3f}"
