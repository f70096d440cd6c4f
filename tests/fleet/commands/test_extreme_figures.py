"""Figures that the contract lets pass and no box can have measured: no command fails or warns."""

from __future__ import annotations

import contextlib
import random
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from contract.benchmark import BenchRun, Conditions, Golden, Window
from contract.messages import Inventory, encode_message
from contract.topics import Leaf
from fleet.cli import cli
from fleet.collecting.intake import Intake
from fleet.store.database import Database, open_database
from support.filling import deliver
from support.measurements import make_inventory, make_result, make_run

pytestmark = pytest.mark.filterwarnings("error")

#: As many as are learnt from, and some.
DEVICES = 14
#: The least and the largest double, what a factor takes beyond them, and what is usual.
LATENCIES_MS = (0.0, 5e-324, 1e-308, 1e-200, 1e-9, 10.0, 11.0, 1e200, 1e308, 1.7976931348623157e308)
ANY = (*LATENCIES_MS, *(-one for one in LATENCIES_MS))
COUNTS = (0, 1, 5, 500, 2**53, 2**63 - 1)
SHARES = (0.0, 5e-324, 0.5, 1.0)
POLICY = """
name = "all"
constraints = ["p95_ms <= 150", "energy_mj <= 10", "first_ms <= 3", "load_ms <= 1"]
objectives = ["min energy_mj", "min p95_ms", "min first_ms", "min peak_rss_mb", "min load_ms"]
[evidence]
max_interval = 0.05
max_age_days = 3
"""


def run_of(variant: str, chance: random.Random, changes: int) -> BenchRun:
    """A run of which so many figures, drawn by chance, are extreme."""
    one = chance.choice
    extreme = {
        **dict.fromkeys(
            ("p50_ms", "p90_ms", "p95_ms", "ci_low_ms", "ci_high_ms", "load_ms", "first_ms"),
            LATENCIES_MS,
        ),
        **dict.fromkeys(("energy_mj", "speedup", "repeatability", "top1_drop", "duration_s"), ANY),
        **dict.fromkeys(("n", "processes", "peak_rss_bytes", "bytes", "macs"), COUNTS),
        **dict.fromkeys(("accuracy_images", "device_images"), COUNTS),
        **dict.fromkeys(("top1", "top3", "device_top1"), SHARES),
        "samples_ms": [[one(LATENCIES_MS) for _ in range(count)] for count in (1, 5, 100)],
        "golden": [Golden(ok=True, max_error=one(ANY), tolerance=one(ANY))],
        "before": [Conditions(temperature_c=one(ANY), clock_mhz=one(ANY), load_1m=one(ANY))],
        "windows": [[Window(at_s=one(ANY), n=one(COUNTS), p50_ms=one(LATENCIES_MS))]],
    }
    names = chance.sample(sorted(extreme), changes)
    return make_run(variant, **{name: one(extreme[name]) for name in names})


def inventory_of(device: str, chance: random.Random, changes: int) -> Inventory:
    extreme = {
        "max_clock_mhz": ANY,
        "cpu_quota_cores": ANY,
        "ram_bytes": COUNTS,
        "usable_cores": (1, 2**31),
    }
    names = chance.sample(sorted(extreme), min(changes, len(extreme)))
    return make_inventory(device, **{name: chance.choice(extreme[name]) for name in names})


def fill(database: Database, chance: random.Random) -> None:
    changes = chance.choice((0, 1, 2, 20))
    told = []
    for device in (f"d{number}" for number in range(DEVICES)):
        told.append(
            deliver(
                "lab",
                device,
                Leaf.INVENTORY,
                encode_message(inventory_of(device, chance, changes)),
            )
        )
        for seq, variant in enumerate(("net-a", "net-b", "net-base"), start=1):
            result = make_result(seq, run_of(variant, chance, changes), device=device)
            told.append(deliver("lab", device, Leaf.RESULT, encode_message(result)))
    assert Intake(database).take(told, now=1.0).quarantined == 0


# Each takes seconds: a store, and every command on it.
@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32))
def test_no_figure_that_the_contract_lets_pass_makes_a_command_fail_or_warn(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - any figures do
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/fleet.db"
        with contextlib.closing(open_database(url, create=True)) as database:
            fill(database, chance)
        policy = Path(folder) / "all.toml"
        policy.write_text(POLICY)
        for words in (
            ["recommendations"],
            ["recommendations", "--policy", policy, "--json"],
            ["explain", "lab/d0"],
            ["explain", "lab/d1", "--policy", policy],
            ["predict", "--policy", policy],
            ["predict", "lab/d1", "--policy", policy],
            ["whatif", "--policy", "fastest"],
            ["results", "lab/d0", "--distribution"],
            ["export", "results", "--output", Path(folder) / "runs.csv"],
            ["export", "recommendations", "--output", Path(folder) / "picks.csv"],
            ["devices"],
            ["retain", "--samples-days", "0"],
            ["results", "lab/d0", "--distribution", "--json"],
        ):
            done = CliRunner().invoke(cli, [*map(str, words), "--db", url], catch_exceptions=False)
            assert done.exit_code == 0, (words, done.output)
