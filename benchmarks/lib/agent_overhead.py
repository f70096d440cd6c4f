"""What the agent's harness adds to a plain timing loop of the same model."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import torch

from agent.golden import read_golden
from agent.images import standardize
from agent.protocol import Preparation
from agent.torchscript import TorchNetwork, TorchScriptRuntime
from benchmarks.lib.agent_sweeps import output_of, set_of_one, sweep
from benchmarks.lib.bundles import Bundle
from benchmarks.lib.plain_loop import prepared
from benchmarks.lib.rounds import Pace, Ratio, latency, ratio, time_in_rounds
from contract.interval import median_interval

#: Of calls in one process: many short rounds, for drift to meet both alike.
_CALLS = Pace(rounds=60, timed_calls=10)
_HARNESS, _PLAIN = "harness", "plain"


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Medians of one agent's sweep and of one plain loop after it or before it."""

    harness_ms: float
    plain_ms: float


class Overhead(msgspec.Struct, frozen=True, kw_only=True):
    """One variant, on one thread; ratios are harness by plain, so 1.02 is 2 % of overhead."""

    variant: str
    preparation: str
    #: Both as processes of their own, alternating, on the same core.
    pairs: list[Pair]
    ratio: float
    low: float | None
    high: float | None
    #: Calls of one process: the agent's way to call a network against a bare call.
    calls: Ratio
    call_harness_ms: float
    call_plain_ms: float


def measure_overhead(
    bundle: Bundle,
    *,
    pairs: int,
    seconds: float,
    core: int,
    scratch: Path,
    on_pair: Callable[[int], None],
) -> Overhead:
    """Hold the harness against a plain loop, process by process and call by call.

    The agent is held to the same core as its worker, so that all its work is in the figure; on
    a box with more cores it has one of the others.

    Raises:
        BuilderError: one of them failed.
    """
    variant = bundle.member.variant
    bundles = set_of_one(bundle.path.parent, variant, scratch)
    # Two turns of the set's only variant.
    options = ("--rounds", "1", "--min-seconds", str(seconds / 2))
    preparation = sweep(bundles, *options, core=core)[0].preparation or Preparation.FROZEN.value
    side = str(bundle.manifest.preprocessing.input_size)
    plain_words = [sys.executable, "-m", "benchmarks.lib.plain_loop", str(bundle.path)]
    plain_words += [preparation, str(seconds), side]

    def harness_ms() -> float:
        return sweep(bundles, *options, core=core)[0].p50_ms or 0.0

    def plain_ms() -> float:
        return statistics.median(
            msgspec.json.decode(output_of(plain_words, core=core), type=list[float])
        )

    measured: list[Pair] = []
    for number in range(pairs):
        # Whoever comes second has a warmer core; that takes turns.
        if number % 2:
            plain, harness = plain_ms(), harness_ms()
        else:
            harness, plain = harness_ms(), plain_ms()
        measured.append(Pair(harness_ms=harness, plain_ms=plain))
        on_pair(number + 1)
    ratios = [pair.harness_ms / pair.plain_ms for pair in measured]
    interval = median_interval(ratios)
    calls, call_harness_ms, call_plain_ms = _calls(bundle, Preparation(preparation))
    return Overhead(
        variant=variant,
        preparation=preparation,
        pairs=measured,
        ratio=statistics.median(ratios),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        calls=calls,
        call_harness_ms=call_harness_ms,
        call_plain_ms=call_plain_ms,
    )


def _calls(bundle: Bundle, preparation: Preparation) -> tuple[Ratio, float, float]:
    """Ratio and both medians, in processor time: what others take of the core is not in it."""
    runtime = TorchScriptRuntime(threads=1)
    engine = bundle.manifest.quantization.engine
    if engine is not None:
        torch.backends.quantized.engine = engine
    module = prepared(str(bundle.path), preparation.value)
    network = TorchNetwork(module, engine if engine in runtime.engines() else None)
    vectors = read_golden(bundle.path, bundle.manifest)
    inputs = standardize(vectors.images[:1], bundle.manifest.preprocessing)
    tensor = torch.from_numpy(inputs)

    def plain() -> object:
        with torch.inference_mode():
            return module(tensor)

    samples = time_in_rounds(
        {_HARNESS: lambda: network.logits(inputs), _PLAIN: plain},
        _CALLS,
        seed=0,
        on_round=lambda _: None,
        clock_ns=time.thread_time_ns,
    )
    harness, plain_calls = (latency(samples[name]).p50_ms for name in (_HARNESS, _PLAIN))
    return ratio(_PLAIN, _HARNESS, samples), harness, plain_calls
