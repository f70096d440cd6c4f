"""Devices that join over TLS, from `enroll` to a choice that they obey, as real processes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from support.brokers import free_port
from support.processes import Fleet, Process, run, run_json, wait_until

VARIANTS = {"resnet18-base", "resnet18-dq8", "resnet18-sq8"}


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "authority"
    monkeypatch.setenv("EDGEWRIGHT_AUTHORITY", str(folder))
    return folder


def test_a_device_that_was_enrolled_joins_over_the_network_and_obeys(
    authority: Path,
    tmp_path: Path,
    start_fleet: Callable[..., Fleet],
    make_agent: Callable[..., Process],
) -> None:
    """Every address of this machine is listened on, and the agent takes one that others see."""
    port = free_port()
    enrolled = run_json(
        "edgewright-fleet", "enroll", "lab/box", "--port", port, "--out", tmp_path / "box"
    )
    fleet = start_fleet(f"0.0.0.0:{port}", embedded=True)
    assert f"ready broker={enrolled['broker']} " in fleet.process.log.read_text()
    assert "://127." not in enrolled["broker"]
    more = 'ca_file = "ca.pem"\npassword_file = "password"\n'
    agent = make_agent(enrolled["broker"], more=more)
    agent.start()

    def stored() -> set[str]:
        if not fleet.ask("devices"):
            return set()
        return {found["variant"] for found in fleet.ask("results", "lab/box")}

    wait_until("all results are stored", lambda: stored() == VARIANTS)
    broker = f"mqtts://localhost:{port}"
    fleet.ask("apply", "--policy", "fastest", "--broker", broker)
    wait_until("the agent obeys", lambda: fleet.ask("devices")[0]["active_variant"] in VARIANTS)
    # A password that was replaced on the server: out at once, in again with the new file.
    run("edgewright-fleet", "enroll", "lab/box", "--port", port, "--out", tmp_path / "box")
    wait_until("it comes back", lambda: agent.log.read_text().count("broker_connected") >= 2)
    assert agent.stop() == 0

    password = (tmp_path / "box" / "password").read_text().strip()
    own = (authority / "fleet.password").read_text().strip()
    for log in (fleet.process.log, agent.log):
        assert password not in log.read_text()
        assert own not in log.read_text()
