"""A policy that is edited while results come in."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from contract.topics import Leaf
from fleet.choosing.policy import Policy, load_policy, parse_policy
from fleet.store.database import Database
from fleet.store.decision import choices_of
from fleet.store.recommendation import Recommendation, find_decision, recommend
from fleet.store.roster import device_ids
from fleet.store.schema import decisions
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.table import Row
from support.measurements import make_inventory, make_result, make_run
from support.processes import program
from support.stores import ON_BOTH

pytestmark = ON_BOTH

MakeRow = Callable[..., Row]
ACCURATE = """name = "mine"
constraints = ["p95_ms <= 40", "top1 >= 0.5"]
objectives = ["max top1", "min p95_ms"]
"""
FAST = """name = "mine"
constraints = ["p95_ms <= 20", "top1 >= 0.6"]
objectives = ["min p95_ms", "max top1"]
"""
DEVICES, VARIANTS, CHANGES = 6, 5, 10
NAMES = [f"p-{number}" for number in range(DEVICES)]


class Measuring(threading.Thread):
    """Devices that measure one variant after the other until told to stop."""

    def __init__(self, url: str) -> None:
        super().__init__(name="measuring")
        self.stopping = threading.Event()
        self.clients = [DeviceClient(url, "lab", name) for name in NAMES]
        self.made = 0

    def run(self) -> None:
        """Each round is one result of each device."""
        for client in self.clients:
            client.send(make_inventory(client.device), Leaf.INVENTORY)
        while not self.stopping.wait(0.05):
            self.made += 1
            place = self.made % VARIANTS
            figures = {"p50_ms": 5.0 + 3 * place + self.made % 7, "top1": 0.7 + place / 20}
            for client in self.clients:
                run = make_run(f"net-{place}", run_id=f"r-{self.made}", **figures)
                client.send(make_result(self.made, run, device=client.device))

    def close(self) -> None:
        """Stop and disconnect."""
        self.stopping.set()
        self.join()
        for client in self.clients:
            client.close()


def put_in_place(file: Path, text: str) -> None:
    """As careful editors do."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.replace(file)


def test_every_decision_rests_on_one_whole_policy_and_replays(
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    database: Database,
    store_url: str,
    tmp_path: Path,
    fault: MakeRow,
) -> None:
    kind = store_url.split(":", maxsplit=1)[0]
    row = fault(
        f"policy replaced, and left half written, while results come in ({kind})",
        holds="each decision replays under one whole policy; the last one holds for all",
    )
    policies = [parse_policy(text, source="test") for text in (ACCURATE, FAST)]
    file = tmp_path / "mine.toml"
    file.write_text(ACCURATE)
    serve = start_serve("--broker", mosquitto.url, "--policy", str(file))

    def said(words: str) -> int:
        return serve.log.read_text().count(words)

    measuring = Measuring(mosquitto.url)
    measuring.start()
    with contextlib.closing(measuring):
        for change in range(1, CHANGES + 1):
            text = (ACCURATE, FAST)[change % 2]
            refused, changed, made = said("policy refused"), said("policy changed"), measuring.made
            # In the middle of a line: as a full disk or an editor that is killed leaves it.
            file.write_text(text[: len(text) - 12])
            assert eventually(lambda seen=refused: said("policy refused") > seen)
            put_in_place(file, text)
            # Somebody asks while the collector decides too.
            with database.reading() as connection:
                ids = device_ids(connection)
            recommend(database, load_policy(str(file)), ids, now=time.time())
            assert eventually(lambda seen=changed: said("policy changed") > seen)
            assert eventually(lambda seen=made: measuring.made > seen + VARIANTS)
            row.tried()
        file.write_text("name = ")
        asked = subprocess.run(
            [program("edgewright-fleet"), "recommendations", "--policy", str(file)],
            capture_output=True, text=True, timeout=60, check=False,
            env=os.environ | {"EDGEWRIGHT_DB": store_url},
        )  # fmt: skip
        assert (asked.returncode, asked.stdout, asked.stderr.count("\n")) == (2, "", 1)
        assert str(file) in asked.stderr
        put_in_place(file, ACCURATE)
        measuring.stopping.set()
        measuring.join()
        assert eventually(lambda: all(one.is_acked(measuring.made) for one in measuring.clients))

    def latest() -> list[Recommendation]:
        with database.reading() as connection:
            chosen = choices_of(connection, "mine", device_ids(connection))
            return [find_decision(connection, one.decision_id) for one in chosen.values()]

    assert eventually(lambda: [terms_of(policies[0], one) for one in latest()] == [True] * DEVICES)
    with database.reading() as connection:
        numbers = list(connection.scalars(sa.select(decisions.c.id)))
        # Raises where one does not come out again.
        found = [find_decision(connection, number) for number in numbers]
    under = Counter(tuple(terms_of(policy, one) for policy in policies) for one in found)
    assert set(under) == {(True, False), (False, True)}
    assert serve.stop() == 0
    row.came_to(f"{len(found)} decisions replayed, {under[True, False]} and {under[False, True]}")


def terms_of(policy: Policy, one: Recommendation) -> bool:
    """Whether a decision rests on all of a policy, and nothing else."""
    return one.evidence.terms == policy.terms_for(one.evidence.site, one.evidence.device, [])
