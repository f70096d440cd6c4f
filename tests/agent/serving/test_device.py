"""A device that measures and serves: the agent as a process, a real broker, real HTTP."""

from __future__ import annotations

import re
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from agent.activation import STANDING_NAME, Activation
from contract.bundleset import read_set
from contract.manifest import Scheme
from contract.messages import Desired, Phase, Update
from support.brokers import Mosquitto
from support.fleet_end import FleetEnd
from support.processes import Process, program, wait_until
from support.serving import Serving, picture, workers
from support.tiny_bundles import SetMaker

BROKEN = "tiny-broken"


@pytest.fixture(scope="module")
def measured(
    set_maker: Callable[[], SetMaker],
    mosquitto_program: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """A set and the state folder of an agent that measured it.

    `tiny-broken` is on record as well, as if the torch of that day had computed it rightly.
    """
    maker = set_maker()
    maker.add("tiny-base")
    for name in ("tiny-a", "tiny-b"):
        maker.add(name, scheme=Scheme.STATIC_INT8)
    maker.add(BROKEN, scheme=Scheme.STATIC_INT8, wrong_golden=True)
    bundles, place = maker.finish(), tmp_path_factory.mktemp("measured")
    broker = Mosquitto(mosquitto_program, place)
    broker.start()
    end = FleetEnd(broker.url, site="lab", device="box")
    end.is_obliging = True
    config = place / "agent.toml"
    config.write_text(
        f'site = "lab"\ndevice = "box"\nbroker = "{broker.url}"\nbundles = "{bundles}"\n'
        'state_dir = "state"\nrounds = 1\nmin_seconds = 0.1\n'
    )
    words = [program("edgewright-agent"), "run", "--config", str(config), "--once"]
    agent = Process(words, place / "agent.log")
    agent.start()
    assert agent.wait() == 0, agent.log.read_text()
    end.close()
    broker.stop()
    with sqlite3.connect(place / "state" / "agent.sqlite") as journal:
        changed = journal.execute("UPDATE runs SET status = 'ok' WHERE status = 'wrong-numerics'")
        assert changed.rowcount == 1
    return bundles, place / "state"


@dataclass
class Device:
    """An agent that serves, and the fleet's end of its wire."""

    agent: Process
    fleet_end: FleetEnd
    bundles: Path
    state: Path
    generation: int = 0

    def desire(self, variant: str) -> int:
        """Wish for a variant; returns the generation."""
        member = read_set(self.bundles).member(variant)
        assert member is not None
        self.generation += 1
        self.fleet_end.desire(variant, member.sha256, self.generation)
        return self.generation

    def served_before(self, *variants: str) -> None:
        """Leave the standing of a device that served these, one after the other."""
        activation = Activation(self.state / STANDING_NAME)
        for variant in variants:
            member = read_set(self.bundles).member(variant)
            assert member is not None
            self.generation += 1
            desired = Desired(
                site="lab",
                device="box",
                at=0.0,
                generation=self.generation,
                variant=variant,
                sha256=member.sha256,
                threads=1,
                policy="test",
            )
            activation.settle(activation.standing.adopting(desired))

    def await_update(self, phase: Phase, active: str | None, generation: int) -> Update:
        """The update that says so, once it is the last one."""

        def is_said() -> bool:
            last = self.fleet_end.updates()[-1:]
            return [(u.phase, u.active_variant, u.generation) for u in last] == [
                (phase, active, generation)
            ]

        self.fleet_end.await_until(f"{active} is {phase}, generation {generation}", is_said)
        return self.fleet_end.updates()[-1]

    @property
    def process(self) -> psutil.Process:
        assert self.agent.popen is not None
        return psutil.Process(self.agent.popen.pid)

    def server_process(self) -> psutil.Process:
        """The child that serves now."""
        (found,) = (c for c in self.process.children() if "--supervised" in c.cmdline())
        return found

    def http(self) -> Serving:
        """A client of the server that was started last."""
        found = re.findall(r"event=serving address=(http://\S+)", self.agent.log.read_text())
        return Serving(found[-1])


@pytest.fixture
def device(
    measured: tuple[Path, Path],
    mosquitto: Mosquitto,
    fleet_end: FleetEnd,
    make_agent: Callable[..., Process],
    tmp_path: Path,
) -> Device:
    """A device that measured its set and served nothing yet; not started."""
    bundles, state = measured
    shutil.copytree(bundles, tmp_path / "set")
    shutil.copytree(state, tmp_path / "state")
    agent = make_agent(mosquitto.url, tmp_path / "set", more="serve_port = 0\n")
    return Device(agent, fleet_end, tmp_path / "set", tmp_path / "state")


def test_a_wish_switches_what_is_served_drops_no_request_and_survives_a_restart(
    device: Device,
) -> None:
    """Before any wish it is the baseline; an update says `active` once it is served."""
    device.agent.start()
    device.await_update(Phase.IDLE, "tiny-base", 0)
    server, over = device.http(), threading.Event()

    def ask_on() -> list[tuple[int, str]]:
        answers = []
        while not over.is_set():
            reply = server.predict(picture())
            answers.append((reply.status, reply.json.get("variant", reply.json)))
        return answers

    with ThreadPoolExecutor(2) as pool:
        clients = [pool.submit(ask_on) for _ in range(2)]
        try:
            device.await_update(Phase.ACTIVE, "tiny-a", device.desire("tiny-a"))
            update = device.await_update(Phase.ACTIVE, "tiny-b", device.desire("tiny-b"))
            assert server.health()["variant"] == "tiny-b"
        finally:
            over.set()
        answers = {answer for client in clients for answer in client.result()}
    assert {status for status, _ in answers} == {200}, answers
    assert {variant for _, variant in answers} >= {"tiny-base", "tiny-a"}
    member = read_set(device.bundles).member("tiny-b")
    assert member is not None
    assert (update.active_sha256, update.reason) == (member.sha256, None)

    child = device.server_process()
    assert device.agent.stop() == 0
    assert not child.is_running()
    heard = len(device.fleet_end.updates())
    device.agent.start()
    device.fleet_end.await_until("it is back", lambda: len(device.fleet_end.updates()) > heard)
    assert device.fleet_end.updates()[-1].active_variant == "tiny-b"
    assert device.http().predict(picture()).json["variant"] == "tiny-b"
    assert "run_stored" not in device.agent.log.read_text(), "nothing had to be measured again"


def test_a_bundle_damaged_before_a_restart_is_replaced_by_the_last_good_one_until_repaired(
    device: Device,
) -> None:
    """`update` names what is really served and why; nothing claims the damaged one active."""
    device.served_before("tiny-a", "tiny-b")
    file = device.bundles / "tiny-b.pt"
    whole = file.read_bytes()
    file.write_bytes(whole[:2000] + b"\0" + whole[2001:])
    device.agent.start()
    update = device.await_update(Phase.FAILED, "tiny-a", device.generation)
    assert "tiny-b" in (update.reason or "")
    assert len(device.fleet_end.updates()) == 1
    assert device.http().predict(picture()).json["variant"] == "tiny-a"
    file.write_bytes(whole)
    update = device.await_update(Phase.ACTIVE, "tiny-b", device.generation)
    assert update.reason is None
    assert device.http().health()["variant"] == "tiny-b"


def test_a_wish_that_cannot_be_served_leaves_what_is_served(device: Device) -> None:
    """Also over a restart; a newer wish is free of it."""
    device.agent.start()
    device.await_update(Phase.ACTIVE, "tiny-a", device.desire("tiny-a"))
    child = device.server_process()
    update = device.await_update(Phase.FAILED, "tiny-a", device.desire(BROKEN))
    assert "golden logits differ" in (update.reason or "")
    assert device.http().health()["variant"] == "tiny-a"
    device.agent.kill()
    wait_until("the server is gone with the agent", lambda: not child.is_running())
    heard = len(device.fleet_end.updates())
    device.agent.start()
    device.fleet_end.await_until("it is back", lambda: len(device.fleet_end.updates()) > heard)
    device.await_update(Phase.FAILED, "tiny-a", device.generation)
    device.await_update(Phase.ACTIVE, "tiny-b", device.desire("tiny-b"))


def test_a_killed_server_is_started_again_and_ends_with_a_killed_agent(device: Device) -> None:
    """No update flickers meanwhile, and no process is left behind."""
    device.served_before("tiny-a")
    device.agent.start()
    device.await_update(Phase.ACTIVE, "tiny-a", device.generation)
    first = device.server_process()
    first.kill()
    log = device.agent.log
    wait_until(
        "another one serves", lambda: log.read_text().count("variant_serving variant=tiny-a") == 2
    )
    server = device.http()
    server.wait_for("tiny-a")
    assert len(device.fleet_end.updates()) == 1
    second = device.server_process()
    assert second.pid != first.pid
    (worker,) = workers(second)
    device.agent.kill()
    wait_until("the server is gone", lambda: not second.is_running())
    wait_until("its worker is gone", lambda: not worker.is_running())


def test_a_server_that_cannot_listen_is_told_and_tried_again(
    device: Device, make_agent: Callable[..., Process], mosquitto: Mosquitto
) -> None:
    """With the server's own sentence, and nothing is called active."""
    device.served_before("tiny-a")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        device.agent = make_agent(mosquitto.url, device.bundles, more=f"serve_port = {port}\n")
        device.agent.start()
        update = device.await_update(Phase.FAILED, None, device.generation)
        assert f"cannot listen on 127.0.0.1:{port}" in (update.reason or "")
    device.await_update(Phase.ACTIVE, "tiny-a", device.generation)
