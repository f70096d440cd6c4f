"""What systemd is told, over a real datagram socket, by a real agent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.courier import Courier, Patience
from agent.journal import Journal
from agent.outbox import Outbox
from agent.systemd import Notifier
from agent.watchdog import Pulse, Watchdog
from contract.address import parse_broker_url
from contract.bundleset import SET_NAME
from contract.messages import Desired
from support.brokers import Mosquitto, free_port
from support.fleet_end import FleetEnd
from support.processes import Process, program, wait_until

#: As short as leaves a busy machine the time to tell three times within it.
WATCHDOG_S = 3.0


@dataclass
class Systemd:
    """Stands in for the service manager: the socket that it gives to a service."""

    address: str
    line: socket.socket

    def hear(self, timeout_s: float = 60.0) -> str | None:
        """The next message, or None where none comes."""
        self.line.settimeout(timeout_s)
        try:
            return self.line.recv(4096).decode()
        except (TimeoutError, BlockingIOError):
            return None

    def hear_until(self, message: str) -> list[str]:
        """Messages up to a certain one."""
        heard: list[str] = []
        while not heard or heard[-1] != message:
            one = self.hear()
            assert one is not None, f"'{message}' did not come after {heard}"
            heard.append(one)
        return heard

    def forget(self) -> None:
        """Pass over what came so far."""
        while self.hear(0.0) is not None:
            pass


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Systemd]:
    is_path = request.param == "path"
    address = str(tmp_path / "notify") if is_path else f"@edgewright-{uuid.uuid4().hex}"
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
        line.bind(address if is_path else f"\0{address[1:]}")
        yield Systemd(address, line)


@pytest.fixture
def one_systemd(tmp_path: Path) -> Iterator[Systemd]:
    """One is enough where the kind of its address does not matter."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as line:
        line.bind(str(tmp_path / "notify"))
        yield Systemd(str(tmp_path / "notify"), line)


@pytest.fixture
def agent(one_systemd: Systemd, tmp_path: Path) -> Iterator[Process]:
    """An agent with nothing to measure and no broker, started as systemd would."""
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / SET_NAME).write_text("no set")
    (tmp_path / "agent.toml").write_text(
        f'site = "lab"\ndevice = "box"\nbroker = "mqtt://127.0.0.1:{free_port()}"\n'
        'bundles = "bundles"\nstate_dir = "state"\n'
    )
    command = [program("edgewright-agent"), "run", "--config", str(tmp_path / "agent.toml")]
    given = [f"NOTIFY_SOCKET={one_systemd.address}", f"WATCHDOG_USEC={int(WATCHDOG_S * 1e6)}"]
    process = Process(["env", *given, *command], tmp_path / "agent.log")
    process.start()
    yield process
    if process.popen is not None and process.popen.poll() is None:
        process.kill()


def test_each_message_is_one_datagram(systemd: Systemd) -> None:
    notifier = Notifier(systemd.address)
    notifier.ready()
    for _ in range(2):
        notifier.status("idle")
    notifier.alive()
    notifier.stopping()
    heard = [systemd.hear(0.0) for _ in range(5)]
    assert heard == ["READY=1", "STATUS=idle", "WATCHDOG=1", "STOPPING=1", None]


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "1500000"}, None),
        ({"NOTIFY_SOCKET": "/run/x"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1500000"}, 1.5),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "7"}, 1.5),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "8"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, None),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_counts_where_it_is_meant_for_this_process(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    assert Notifier.from_environment(environment, pid=7).watchdog_s == watchdog_s


def test_a_supervisor_that_is_gone_or_does_not_read_harms_nobody(
    tmp_path: Path, one_systemd: Systemd, caplog: pytest.LogCaptureFixture
) -> None:
    Notifier(str(tmp_path / "nobody")).ready()
    assert "supervisor_not_told" in caplog.text
    notifier = Notifier(one_systemd.address)
    for _ in range(10_000):
        notifier.alive()
    assert one_systemd.hear(0.0) == "WATCHDOG=1"


def test_the_watchdog_is_told_in_time_and_only_while_every_thread_beats(
    one_systemd: Systemd,
) -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    notifier = Notifier(one_systemd.address, watchdog_s=30.0)
    watchdog = Watchdog(notifier, [pulse], clock=lambda: now)
    assert watchdog.turn_s(60.0) == 5.0
    assert Watchdog(Notifier(None), []).turn_s(60.0) == 60.0
    told_at = []
    for _ in range(20):
        watchdog.turn()
        if one_systemd.hear(0.0):
            told_at.append(now)
        if now < 40.0:
            pulse.beat()
        now += 5.0
    assert told_at == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
    pulse.beat()
    watchdog.turn()
    assert one_systemd.hear(0.0) == "WATCHDOG=1"


def test_a_courier_that_hangs_ends_the_signs_of_life(
    one_systemd: Systemd, mosquitto: Mosquitto, fleet_end: FleetEnd, tmp_path: Path
) -> None:
    """Its thread is held up in the midst of a message, for as long as the test likes."""
    hangs, go_on = threading.Event(), threading.Event()

    def hang(_desired: Desired) -> None:
        hangs.set()
        go_on.wait()

    pulse = Pulse()
    notifier = Notifier(one_systemd.address, watchdog_s=1.0)
    watchdog = Watchdog(notifier, [pulse])
    with contextlib.closing(Journal(tmp_path / "a.sqlite", limit_bytes=10**7)) as journal:
        courier = Courier(
            parse_broker_url(mosquitto.url),
            site="lab",
            device="box",
            boot_id="boot",
            outbox=Outbox(journal, site="lab", device="box"),
            patience=Patience(idle_s=0.1),
            pulse=pulse,
        )
        courier.start(on_desired=hang)
        fleet_end.desire("tiny-base", "0" * 64, 1)
        assert hangs.wait(60)
        wait_until("its silence is too long", lambda: pulse.silence_s() > 1.0)
        watchdog.turn()
        assert one_systemd.hear(0.0) is None
        go_on.set()

        def is_vouched_for() -> bool:
            watchdog.turn()
            return one_systemd.hear(0.0) == "WATCHDOG=1"

        wait_until("it is back", is_vouched_for)
        courier.stop()


def test_the_agent_is_ready_alive_and_stopping(agent: Process, one_systemd: Systemd) -> None:
    """Without a broker as well: it can work, and delivers later."""
    assert one_systemd.hear_until("READY=1")[-1] == "READY=1"
    one_systemd.hear_until("STATUS=waiting: the bundle set cannot be read")
    for _ in range(4):
        one_systemd.hear_until("WATCHDOG=1")
    assert agent.popen is not None
    agent.popen.send_signal(signal.SIGTERM)
    one_systemd.hear_until("STOPPING=1")
    assert agent.wait() == 0, agent.log.read_text()


def test_a_main_thread_that_hangs_is_not_vouched_for(
    agent: Process, one_systemd: Systemd, tmp_path: Path
) -> None:
    """It reads a set that never comes; the courier goes on meanwhile."""
    one_systemd.hear_until("STATUS=waiting: the bundle set cannot be read")
    trap = tmp_path / "bundles" / SET_NAME
    trap.unlink()
    os.mkfifo(trap)
    held: list[int] = []

    def is_caught() -> bool:
        with contextlib.suppress(OSError):
            # Refused as long as nobody reads there.
            held.append(os.open(trap, os.O_WRONLY | os.O_NONBLOCK))
        return bool(held)

    wait_until("the main thread reads", is_caught)
    one_systemd.forget()
    assert one_systemd.hear(2 * WATCHDOG_S) is None
    assert agent.popen is not None
    assert agent.popen.poll() is None
    os.close(held[0])
    one_systemd.hear_until("WATCHDOG=1")
