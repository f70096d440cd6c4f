"""build -> agent process -> broker -> collector process -> recommendation, for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.lib.nats_cluster import nats_cluster
from fleet.authority.authority import Authority
from support.accounts import guarded_cluster
from support.brokers import Mosquitto, free_port
from support.processes import Fleet, Process, run, wait_until

VARIANTS = {"resnet18-base", "resnet18-dq8", "resnet18-sq8"}
DEVICE = "lab/box"

MakeAgent = Callable[..., Process]


@pytest.fixture(params=["mosquitto", "embedded"])
def fleet(request: pytest.FixtureRequest, start_fleet: Callable[..., Fleet]) -> Fleet:
    if request.param == "embedded":
        return start_fleet(f"mqtt://127.0.0.1:{free_port()}", embedded=True)
    return start_fleet(request.getfixturevalue("mosquitto").url)


@pytest.fixture
def fleet_on_nats(start_fleet: Callable[..., Fleet], tmp_path: Path) -> Iterator[Fleet]:
    """A collector on a cluster's stream; devices speak to the gateway of one server."""
    with nats_cluster(tmp_path) as cluster:
        gateway = cluster.servers[0].mqtt_url
        yield start_fleet(gateway, "--jetstream", cluster.urls)


@pytest.fixture
def fleet_on_guarded_nats(
    start_fleet: Callable[..., Fleet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """The same with TLS and accounts, on servers that `broker-config` configured."""
    authority = Authority.open(tmp_path / "authority")
    monkeypatch.setenv("EDGEWRIGHT_AUTHORITY", str(authority.folder))
    run("edgewright-fleet", "enroll", DEVICE, "--out", tmp_path / "box")
    with guarded_cluster(authority, tmp_path) as servers:
        urls = ",".join(server.nats_url for server in servers)
        yield start_fleet(str(servers[0].address), "--jetstream", urls)


def measured(fleet: Fleet) -> list[str]:
    """Variants of the stored results; one that is stored twice stands in it twice."""
    devices = {device["device"] for device in fleet.ask("devices")}
    if "box" not in devices:
        return []
    return sorted(run["variant"] for run in fleet.ask("results", DEVICE))


def test_an_agents_measurements_become_a_choice_that_it_obeys(
    fleet: Fleet, make_agent: MakeAgent, data: Path
) -> None:
    becomes_a_choice(fleet, make_agent, data)


def test_an_agent_obeys_its_fleet_over_a_nats_cluster_too(
    fleet_on_nats: Fleet, make_agent: MakeAgent, data: Path
) -> None:
    becomes_a_choice(fleet_on_nats, make_agent, data)


def test_an_agent_obeys_its_fleet_over_a_nats_cluster_with_tls_and_accounts(
    fleet_on_guarded_nats: Fleet, make_agent: MakeAgent, data: Path
) -> None:
    more = 'ca_file = "ca.pem"\npassword_file = "password"\n'
    becomes_a_choice(fleet_on_guarded_nats, make_agent, data, more=more)


def becomes_a_choice(fleet: Fleet, make_agent: MakeAgent, data: Path, *, more: str = "") -> None:
    """An agent measures, the fleet chooses, and the agent serves what was chosen."""
    agent = make_agent(fleet.broker_url, more=more)
    agent.start()
    wait_until("all results are stored", lambda: measured(fleet) == sorted(VARIANTS))

    (choice,) = fleet.ask("recommendations", "--policy", "fastest")
    assert choice["status"] == "chosen"
    assert choice["variant"] in VARIANTS
    assert choice["p95_ms"] > 0
    assert choice["peak_rss_bytes"] > 0
    assert choice["reason"]

    fleet.ask("apply", "--policy", "fastest", "--broker", fleet.broker_url)
    wait_until(
        "the agent reports the chosen variant as active",
        lambda: fleet.ask("devices")[0]["active_variant"] == choice["variant"],
    )
    photo = next(data.glob("val/red/*.png"))
    (answer,) = fleet.ask("ask", "box", photo, "--broker", fleet.broker_url)
    assert (answer["status"], answer["variant"]) == ("answered", choice["variant"])
    assert {guess["label"] for guess in answer["top"]} == {"green", "red"}
    assert agent.stop() == 0
    wait_until("the fleet sees it go", lambda: fleet.ask("devices")[0]["presence"] == "offline")


def test_an_agent_killed_mid_sweep_delivers_every_result_exactly_once(
    fleet: Fleet, make_agent: MakeAgent
) -> None:
    agent = make_agent(fleet.broker_url)
    agent.start()
    wait_until("a turn was taken", lambda: "event=turn_taken" in agent.log.read_text())
    agent.kill()
    assert set(measured(fleet)) < VARIANTS, "it was killed too late to show anything"

    agent.start()
    wait_until("all results are stored", lambda: set(measured(fleet)) == VARIANTS)
    assert agent.stop() == 0
    assert measured(fleet) == sorted(VARIANTS)
    runs = fleet.ask("results", DEVICE)
    assert len({run["run_id"] for run in runs}) == len(VARIANTS)


def test_results_measured_while_the_broker_is_away_arrive_later(
    mosquitto: Mosquitto, start_fleet: Callable[..., Fleet], make_agent: MakeAgent
) -> None:
    mosquitto.stop()
    agent = make_agent(mosquitto.url, "--once")
    agent.start()
    wait_until("it measured all", lambda: agent.log.read_text().count("run_stored") == 3)

    mosquitto.start()
    fleet = start_fleet(mosquitto.url)
    assert agent.wait() == 0
    assert measured(fleet) == sorted(VARIANTS)


def test_results_survive_a_collector_that_is_killed(
    mosquitto: Mosquitto, start_fleet: Callable[..., Fleet], make_agent: MakeAgent
) -> None:
    fleet = start_fleet(mosquitto.url)
    agent = make_agent(mosquitto.url, "--once")
    agent.start()
    wait_until("the first result is stored", lambda: len(measured(fleet)) >= 1)
    fleet.process.kill()
    fleet.start()
    assert agent.wait() == 0
    assert measured(fleet) == sorted(VARIANTS)
