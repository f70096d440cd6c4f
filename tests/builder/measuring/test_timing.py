"""What variants take on this host: real bundles, real worker processes."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from builder.measuring.timing import HostTiming, TimingStatus, time_set
from builder.measuring.timing_process import TimingProcess
from builder.measuring.timing_protocol import Preparation, TimingAnswer, TimingOrder
from builder.outcome import Outcome
from builder.progress import Silence
from builder.workspace import Workspace
from contract.bundleset import BundleSet, Member, read_set, write_set
from contract.files import sha256_of

RECIPE = """
name = "three"
[[variants]]
[[variants]]
quantize = "dynamic-int8"
[[variants]]
quantize = "static-int8"
"""


@pytest.fixture(scope="module")
def bundles(build: Callable[..., list[Outcome]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("timing")
    recipe = folder / "three.toml"
    recipe.write_text(RECIPE)
    outcomes = build("chain", out=folder / "set", recipe=str(recipe))
    assert all(outcome.exists for outcome in outcomes)
    return folder / "set"


@pytest.fixture(scope="module")
def timed(bundles: Path) -> dict[str, HostTiming]:
    """The set timed once; the tests of the cache look at the workspace that this left."""
    return time_set(bundles, workspace=Workspace.beside(bundles), progress=Silence())


def _no_process() -> TimingProcess:
    """Starts what ends at once: whoever asks it gets a failure."""
    return TimingProcess(command=(sys.executable, "-c", "raise SystemExit(3)"))


def test_every_variant_has_a_median_inside_its_interval(timed: dict[str, HostTiming]) -> None:
    assert list(timed) == ["chain-base", "chain-dq8", "chain-sq8"]
    for timing in timed.values():
        assert timing.status is TimingStatus.OK, timing.reason
        assert timing.p50_ms is not None
        assert timing.ci_low_ms is not None
        assert timing.ci_high_ms is not None
        assert 0 < timing.ci_low_ms <= timing.p50_ms <= timing.ci_high_ms
        assert timing.samples >= 6
        assert timing.threads == 1


def test_the_baseline_is_as_fast_as_itself_and_others_have_an_interval(
    timed: dict[str, HostTiming],
) -> None:
    base, other = timed["chain-base"], timed["chain-dq8"]

    assert (base.speedup, base.speedup_low, base.speedup_high) == (1.0, 1.0, 1.0)
    assert other.speedup is not None
    assert other.speedup_low is not None
    assert other.speedup_high is not None
    assert other.speedup_low <= other.speedup <= other.speedup_high
    assert other.base_p50_ms is not None


def test_floats_are_prepared_either_way_and_static_int8_is_frozen(
    timed: dict[str, HostTiming],
) -> None:
    ways = {Preparation.FROZEN, Preparation.OPTIMIZED}
    assert timed["chain-base"].preparation in ways
    assert timed["chain-dq8"].preparation in ways
    assert timed["chain-sq8"].preparation is Preparation.FROZEN


def test_what_was_timed_before_is_not_timed_again(
    bundles: Path, timed: dict[str, HostTiming]
) -> None:
    again = time_set(
        bundles, workspace=Workspace.beside(bundles), progress=Silence(), process=_no_process
    )

    assert again == timed


def test_fresh_times_again_and_a_failure_replaces_no_timing(
    bundles: Path, timed: dict[str, HostTiming]
) -> None:
    fresh = time_set(
        bundles,
        workspace=Workspace.beside(bundles),
        progress=Silence(),
        fresh=True,
        process=_no_process,
    )
    later = time_set(bundles, workspace=Workspace.beside(bundles), progress=Silence())

    assert {timing.status for timing in fresh.values()} == {TimingStatus.FAILED}
    assert later == timed


@pytest.mark.parametrize(
    "change", [{"cpu": "Other"}, {"torch": "1.0"}, {"threads": 2}, {"base_sha256": "0" * 64}]
)
def test_timings_of_another_host_or_against_another_baseline_are_not_taken(
    bundles: Path, timed: dict[str, HostTiming], tmp_path: Path, change: dict[str, object]
) -> None:
    elsewhere = [msgspec.structs.replace(timing, **change) for timing in timed.values()]
    workspace = Workspace(tmp_path)
    workspace.timings.write_bytes(msgspec.json.encode(elsewhere))

    again = time_set(bundles, workspace=workspace, progress=Silence(), process=_no_process)

    assert {timing.status for timing in again.values()} == {TimingStatus.FAILED}


def test_a_bundle_that_fails_leaves_the_others_to_be_timed(bundles: Path, tmp_path: Path) -> None:
    """One was edited after the set vouched for it, one is no bundle at all."""
    folder = tmp_path / "set"
    shutil.copytree(bundles, folder)
    (folder / "other.pt").write_bytes(b"no bundle")
    other = Member(variant="other", file="other.pt", bytes=9, sha256=sha256_of(folder / "other.pt"))
    members = read_set(folder).members
    write_set(folder, BundleSet(baseline="chain-base", members=[other, *members[:2]]))
    content = bytearray((folder / "chain-dq8.pt").read_bytes())
    content[1000] ^= 1
    (folder / "chain-dq8.pt").write_bytes(content)

    timings = time_set(folder, workspace=Workspace(tmp_path / "work"), progress=Silence())

    assert timings["chain-base"].status is TimingStatus.OK
    assert "damaged" in (timings["other"].reason or "")
    assert "truncated or edited" in (timings["chain-dq8"].reason or "")


def test_where_the_baseline_fails_the_others_have_a_latency_and_no_speedup(
    bundles: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(bundles, folder)
    (folder / "chain-base.pt").write_bytes(b"cut short")
    write_set(folder, BundleSet(baseline="chain-base", members=read_set(folder).members[:2]))
    workspace = Workspace(tmp_path / "work")

    timings = time_set(folder, workspace=workspace, progress=Silence())

    assert timings["chain-base"].status is TimingStatus.FAILED
    assert timings["chain-dq8"].status is TimingStatus.OK
    assert timings["chain-dq8"].p50_ms is not None
    assert timings["chain-dq8"].speedup is None
    # Once the baseline is back, it is timed beside it.
    assert not workspace.timings.exists()


#: Answers as the worker does, but kills itself or hangs at variants of these names.
_UNSTABLE = """
import os, signal, sys, time
for line in sys.stdin:
    if "crash" in line:
        os.kill(os.getpid(), signal.SIGSEGV)
    if "hang" in line:
        time.sleep(600)
    if "error" in line:
        raise SystemExit("worker: no torch here")
    print('{"preparation": "frozen", "bursts_ms": [1.0], "base_bursts_ms": [2.0]}', flush=True)
"""


def test_a_worker_that_dies_is_an_answer_and_the_next_order_gets_a_new_one() -> None:
    def ask(limit_seconds: float, *paths: str) -> list[TimingAnswer]:
        command = (sys.executable, "-c", _UNSTABLE)
        with TimingProcess(limit_seconds=limit_seconds, command=command) as process:
            return [process.ask(TimingOrder(path=path, base_path="base")) for path in paths]

    # Only who hangs is waited for in vain: all others may take their time.
    answers = ask(120.0, "good", "crash", "good", "error", "good")
    hung = ask(1.0, "hang", "hang")

    assert [answer.failure for answer in answers] == [
        None,
        "the timing process was ended by SIGSEGV",
        None,
        "the timing process ended with 1: worker: no torch here",
        None,
    ]
    assert answers[-1].bursts_ms == [1.0]
    assert [answer.failure for answer in hung] == ["no answer within 1 s"] * 2
