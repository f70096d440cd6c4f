"""Simulated fleets against a real collector, on the embedded broker and on Mosquitto."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import msgspec
import pytest
import sqlalchemy as sa

from contract.address import parse_broker_url
from contract.messages import Presence
from fleet.simulating.plan import Mode, Plan
from fleet.simulating.simulation import Simulation
from fleet.simulating.tally import SimulationReport
from fleet.store.database import open_database
from fleet.store.roster import list_devices
from fleet.store.schema import devices, epochs, quarantine, results, samples
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import eventually

StartServe = Callable[..., ServeProcess]
#: Everything that may go wrong, in a few seconds. Devices are away for 2 s at least.
PLAN = Plan(
    site="lab",
    devices=50,
    connections=50,
    rate=200.0,
    results=600,
    seed=3,
    churn=6.0,
    duplicates=0.1,
    clock_faults=0.3,
    malformed=0.02,
    storms_s=(1.5,),
)


@pytest.fixture(params=["embedded", "mosquitto"])
def url(request: pytest.FixtureRequest, start_serve: StartServe) -> str:
    """URL of a broker that a collector listens to."""
    if request.param == "embedded":
        return start_serve().url
    mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
    return start_serve("--broker", mosquitto.url).url


@contextlib.contextmanager
def reading(store_url: str) -> Iterator[sa.Connection]:
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        yield connection


def stored(store_url: str) -> list[tuple[str, str, int]]:
    """Device, outbox and place of every stored result."""
    with reading(store_url) as connection:
        query = (
            sa.select(devices.c.device, epochs.c.epoch, results.c.seq)
            .join(epochs, epochs.c.id == results.c.epoch_id)
            .join(devices, devices.c.id == epochs.c.device_id)
        )
        return sorted((device, epoch, seq) for device, epoch, seq in connection.execute(query))


def made(simulation: Simulation) -> list[tuple[str, str, int]]:
    return sorted(
        (one.name, one.epoch, seq) for one in simulation.devices for seq in range(1, one.made + 1)
    )


def presences(store_url: str) -> set[str]:
    with reading(store_url) as connection:
        return {str(one.presence) for one in list_devices(connection)}


def times_refused(store_url: str) -> int:
    with reading(store_url) as connection:
        return int(connection.scalar(sa.select(sa.func.sum(quarantine.c.times))) or 0)


def simulate(
    plan: Plan, url: str, *, on_settled: Callable[[], None] = lambda: None
) -> tuple[Simulation, SimulationReport]:
    simulation = Simulation(plan, parse_broker_url(url), run=f"{time.time_ns():x}")
    return simulation, simulation.run(threading.Event(), on_settled=on_settled)


@pytest.mark.parametrize("connections", [50, 5])
def test_the_store_holds_what_was_made_and_once_whatever_went_wrong(
    url: str, store_url: str, connections: int
) -> None:
    """Own connections and shared ones; presence is right after the storm and at the end."""
    seen: list[bool] = []

    def look() -> None:
        online = {Presence.ONLINE.value}
        seen.append(eventually(lambda: presences(store_url) == online))

    plan = msgspec.structs.replace(PLAN, connections=connections)
    simulation, report = simulate(plan, url, on_settled=look)
    assert report.outstanding == 0
    assert report.made == report.acknowledged == report.published == 600
    assert stored(store_url) == made(simulation)
    assert seen == [True]
    assert eventually(lambda: presences(store_url) == {Presence.OFFLINE.value})
    assert report.mode is (Mode.OWN if connections == 50 else Mode.SHARED)
    assert min(report.duplicates, report.malformed, report.departures, report.clock_faults) > 0
    assert report.storms == 1
    # Nobody sends these again where a connection broke under them.
    assert eventually(lambda: 0 < times_refused(store_url) <= report.malformed)


def test_a_seed_gives_the_same_fleet_and_a_second_run_has_outboxes_of_its_own(
    start_serve: StartServe, store_url: str
) -> None:
    serve = start_serve()
    plan = Plan(site="lab", devices=5, connections=5, rate=500.0, results=50, seed=1)
    first, _ = simulate(plan, serve.url)
    second, _ = simulate(plan, serve.url)
    assert [one.law for one in first.devices] == [one.law for one in second.devices]
    assert stored(store_url) == sorted(made(first) + made(second))


def test_results_carry_their_samples_where_that_is_asked(
    start_serve: StartServe, store_url: str
) -> None:
    plan = Plan(
        site="lab", devices=2, connections=1, rate=100.0, results=10, variants=3, samples=100
    )
    simulate(plan, start_serve().url)
    with reading(store_url) as connection:
        sizes = connection.scalars(sa.select(sa.func.length(samples.c.latencies_ms))).all()
    assert list(sizes) == [100 * 8] * 10


def test_a_rate_that_cannot_be_kept_is_said(start_serve: StartServe) -> None:
    plan = Plan(site="lab", devices=20, connections=4, rate=1e6, duration_s=1.0)
    _, report = simulate(plan, start_serve().url)
    assert not report.is_rate_kept
    assert 0.0 < report.achieved_rate < 1e6
    assert report.outstanding == 0


def test_results_that_nobody_stores_stay_outstanding(mosquitto: Mosquitto) -> None:
    plan = Plan(
        site="lab",
        devices=4,
        connections=2,
        rate=100.0,
        results=40,
        grace_s=2.0,
        resend_first_s=0.5,
    )
    _, report = simulate(plan, mosquitto.url)
    assert report.outstanding == report.published == 40
    assert report.resent >= 40
    assert report.ack_p50_ms is None


def test_a_broker_that_dies_and_comes_back_costs_no_result(
    start_serve: StartServe, mosquitto: Mosquitto, store_url: str
) -> None:
    start_serve("--broker", mosquitto.url)
    plan = Plan(
        site="lab",
        devices=20,
        connections=20,
        rate=100.0,
        duration_s=3.0,
        resend_first_s=1.0,
    )
    simulation = Simulation(plan, parse_broker_url(mosquitto.url), run="1")
    reports: list[SimulationReport] = []
    thread = threading.Thread(target=lambda: reports.append(simulation.run(threading.Event())))
    thread.start()
    assert eventually(lambda: sum(one.made for one in simulation.devices) > 100)
    mosquitto.kill()
    mosquitto.start()
    thread.join()
    assert reports[0].outstanding == 0
    assert reports[0].broken >= 1
    assert stored(store_url) == made(simulation)
