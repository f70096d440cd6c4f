"""`serve` as a process, on the embedded broker and on mosquitto, with things going wrong."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from contract.messages import (
    MAX_MESSAGE_BYTES,
    Desired,
    Presence,
    State,
    decode_message,
    encode_message,
)
from contract.topics import Leaf, topic_for
from fleet.store.database import open_database
from fleet.store.quarantine import list_quarantine
from fleet.store.roster import list_devices
from fleet.store.schema import desired, results
from support.brokers import Mosquitto, free_port
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.measurements import make_inventory, make_result
from support.stores import ON_BOTH

StartServe = Callable[..., ServeProcess]
Connect = Callable[..., DeviceClient]
TOPIC = "edgewright/v1/lab/box/result"


@pytest.fixture(params=["embedded", "mosquitto"])
def serving(
    request: pytest.FixtureRequest, start_serve: StartServe
) -> Iterator[Callable[[], ServeProcess]]:
    """Start `serve` on the broker of this parameter; again after it ended, at the same place."""
    if request.param == "embedded":
        port = free_port()
        yield lambda: start_serve("--listen", f"127.0.0.1:{port}")
    else:
        mosquitto: Mosquitto = request.getfixturevalue("mosquitto")
        yield lambda: start_serve("--broker", mosquitto.url)


@contextlib.contextmanager
def reading(store_url: str) -> Iterator[sa.Connection]:
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        yield connection


def store_desired(store_url: str, *, generation: int) -> Desired:
    wanted = Desired(
        site="lab", device="box", at=1, generation=generation, variant="net-base",
        sha256="ab" * 32, threads=1, policy="fastest",
    )  # fmt: skip
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.writing() as connection,
    ):
        connection.execute(
            sa.insert(desired).values(
                site="lab",
                device="box",
                generation=generation,
                decision_id=generation,
                message=msgspec.json.encode(wanted).decode(),
            )
        )
    return wanted


def heard(device: DeviceClient) -> list[object]:
    return [decode_message(topic, body)[1] for topic, body, _ in list(device.heard)]


def stored_seqs(store_url: str) -> list[int]:
    with reading(store_url) as connection:
        return list(connection.scalars(sa.select(results.c.seq).order_by(results.c.seq)))


def quarantined(store_url: str) -> list[str]:
    with reading(store_url) as connection:
        return [one.reason for one in list_quarantine(connection, limit=100)]


def test_a_result_is_stored_before_it_is_acknowledged(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    device.send(make_result(1))
    assert eventually(lambda: device.is_acked(1))
    assert stored_seqs(store_url) == [1]
    assert serve.stop() == 0


def test_an_ack_is_retained_for_a_device_that_was_away(
    serving: Callable[[], ServeProcess], connect: Connect
) -> None:
    serve = serving()
    first = connect(serve.url)
    first.send(make_result(1))
    assert eventually(lambda: first.is_acked(1))
    first.close()
    late = connect(serve.url)
    assert eventually(lambda: late.is_acked(1))
    assert any(retained for _, _, retained in late.heard)


def test_a_device_hears_its_own_retained_messages_and_no_others(
    serving: Callable[[], ServeProcess], connect: Connect
) -> None:
    serve = serving()
    devices = [f"box-{number}" for number in range(4)]
    for client in [connect(serve.url, device=device) for device in devices]:
        topic = topic_for(client.site, client.device, Leaf.DESIRED)
        client.publish(topic, client.device.encode(), retain=True)
        assert eventually(lambda client=client: len(client.heard) == 1)
    # They connect again while the first ones' subscriptions stand.
    for client in [connect(serve.url, device=device) for device in devices]:
        assert eventually(lambda client=client: len(client.heard) == 1)
        client.send(make_result(1, device=client.device))
        assert eventually(lambda client=client: client.is_acked(1))
        assert {payload for topic, payload, _ in client.heard if "/desired" in topic} == {
            client.device.encode()
        }


def test_bad_messages_are_quarantined_and_good_ones_go_on(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    too_large = msgspec.to_builtins(make_result(2))
    too_large["run"]["notes"] = ["x" * MAX_MESSAGE_BYTES]
    wrong_type = encode_message(make_result(3)).replace(b'"threads":1', b'"threads":"1"')
    device.send(make_result(1))
    device.publish(TOPIC, b"{not json")
    device.publish(TOPIC, msgspec.json.encode(too_large))
    device.publish(TOPIC, wrong_type)
    device.publish(TOPIC, encode_message(make_result(4, device="other")))
    device.send(make_result(4))
    assert eventually(lambda: device.is_acked(4))
    assert stored_seqs(store_url) == [1, 4]
    assert [one.seq for one in device.acks()[-1].epochs["e-1"].rejected] == [2, 3]
    reasons = " | ".join(quarantined(store_url))
    for said in ("malformed", "at most 262144", "Expected `int`", "came under the topic"):
        assert said in reasons
    assert serve.process.poll() is None


def test_a_message_of_megabytes_does_not_stop_the_collector(
    serving: Callable[[], ServeProcess], connect: Connect
) -> None:
    serve = serving()
    giant = connect(serve.url, device="giant")
    giant.publish("edgewright/v1/lab/giant/result", b"x" * (5 * 1024 * 1024))
    device = connect(serve.url)
    device.send(make_result(1))
    assert eventually(lambda: device.is_acked(1))


def test_a_collector_killed_between_receive_and_ack_stores_what_is_sent_again_once(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    for seq in range(1, 301):
        device.send(make_result(seq))
    assert eventually(lambda: len(device.acks()) > 0)
    serve.stop(signal.SIGKILL)
    device.close()
    serve = serving()
    again = connect(serve.url)
    for seq in range(1, 301):
        again.send(make_result(seq))
    assert eventually(lambda: again.is_acked(300))
    assert stored_seqs(store_url) == list(range(1, 301))


def test_sigterm_stores_everything_that_was_received(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    for seq in range(1, 101):
        device.send(make_result(seq))
    assert eventually(lambda: device.is_acked(1))
    assert serve.stop(signal.SIGINT) == 0
    seqs = stored_seqs(store_url)
    acked = device.acks()[-1].epochs["e-1"].through
    assert seqs[:acked] == list(range(1, acked + 1))
    assert "Traceback" not in serve.log.read_text()


@ON_BOTH
def test_a_restarted_service_publishes_acks_and_desired_states_again(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    device.send(make_result(1))
    assert eventually(lambda: device.is_acked(1))
    serve.stop()
    device.close()
    wanted = store_desired(store_url, generation=1)
    late = connect(serving().url)
    assert eventually(lambda: late.is_acked(1))
    assert eventually(lambda: wanted in heard(late))


def test_what_is_stored_beside_the_service_is_published_while_it_is_connected(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    """Whoever stored it may not have reached the broker."""
    device = connect(serving().url)
    for generation in (1, 2):
        wanted = store_desired(store_url, generation=generation)
        assert eventually(lambda wanted=wanted: wanted in heard(device))  # type: ignore[misc]


def test_the_collector_comes_back_after_the_broker_was_away(
    mosquitto: Mosquitto, start_serve: StartServe, connect: Connect, store_url: str
) -> None:
    serve = start_serve("--broker", mosquitto.url)
    device = connect(mosquitto.url)
    device.send(make_result(1))
    assert eventually(lambda: device.is_acked(1))
    mosquitto.stop()
    assert eventually(lambda: "disconnected" in serve.log.read_text())
    mosquitto.start()
    assert eventually(lambda: serve.log.read_text().count("connected broker") >= 2)
    device.send(make_result(2))
    assert eventually(lambda: device.is_acked(2))
    assert stored_seqs(store_url) == [1, 2]


def test_mosquitto_keeps_what_arrives_while_the_collector_is_away(
    mosquitto: Mosquitto, start_serve: StartServe, connect: Connect, store_url: str
) -> None:
    start_serve("--broker", mosquitto.url).stop()
    device = connect(mosquitto.url)
    device.send(make_result(1))
    start_serve("--broker", mosquitto.url)
    assert eventually(lambda: device.is_acked(1))
    assert stored_seqs(store_url) == [1]


@ON_BOTH
def test_births_and_deaths_show_as_presence(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)

    def presence() -> Presence | None:
        with reading(store_url) as connection:
            known = list_devices(connection)
        return known[0].presence if known else None

    def say(spoken: Presence) -> None:
        device.send(
            State(site="lab", device="box", presence=spoken, boot_id="b", connection=1, at=1),
            Leaf.STATE,
        )

    device.send(make_inventory(), Leaf.INVENTORY)
    say(Presence.ONLINE)
    assert eventually(lambda: presence() is Presence.ONLINE)
    say(Presence.OFFLINE)
    assert eventually(lambda: presence() is Presence.OFFLINE)


def test_a_full_disk_delays_the_ack_and_loses_nothing(
    serving: Callable[[], ServeProcess], connect: Connect, store_url: str
) -> None:
    serve = serving()
    device = connect(serve.url)
    device.send(make_result(1))
    assert eventually(lambda: device.is_acked(1))
    # A limit on file size is what a full disk looks like to SQLite: the write fails.
    hard = resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    device.send(make_result(2))
    assert eventually(lambda: "store out of order" in serve.log.read_text())
    assert not device.is_acked(2)
    assert stored_seqs(store_url) == [1]
    resource.prlimit(serve.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert eventually(lambda: device.is_acked(2))
    assert stored_seqs(store_url) == [1, 2]


def refused_serve(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "serve", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={name: value for name, value in os.environ.items() if "EDGEWRIGHT" not in name},
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = refused_serve(
            "--listen", f"127.0.0.1:{port}", "--db", str(tmp_path / "fleet.db")
        )
    assert (code, said.count("\n")) == (1, 1)
    assert f"port {port} on 127.0.0.1 is in use" in said
    assert "--listen" in said


def test_an_open_address_is_refused_before_anything_starts(tmp_path: Path) -> None:
    listen = "mqtt://0.0.0.0:1883"
    code, said = refused_serve("--listen", listen, "--db", str(tmp_path / "fleet.db"))
    assert (code, said.count("\n")) == (2, 1)
    assert "off loopback there is TLS only" in said
    assert not (tmp_path / "fleet.db").exists()


def test_a_broker_with_tls_is_refused_where_there_is_no_authority(tmp_path: Path) -> None:
    code, said = refused_serve(
        "--broker", "mqtts://127.0.0.1:1", "--authority", str(tmp_path / "none"),
        "--db", str(tmp_path / "fleet.db"),
    )  # fmt: skip
    assert (code, said.count("\n")) == (1, 1)
    assert "no authority there" in said


def test_a_second_collector_on_one_store_is_refused(
    start_serve: StartServe, store_url: str
) -> None:
    start_serve()
    code, said = refused_serve("--listen", "127.0.0.1:0", "--db", store_url)
    assert (code, said.count("\n")) == (1, 1)
    assert "another 'edgewright-fleet serve'" in said


def test_a_store_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, said = refused_serve("--db", f"sqlite:///{tmp_path / 'file' / 'fleet.db'}")
    assert (code, said.count("\n")) == (1, 1)
    assert "--db" in said


def test_a_place_to_listen_that_was_typed_counts_more_than_a_broker_in_the_environment(
    start_serve: StartServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = free_port()
    monkeypatch.setenv("EDGEWRIGHT_BROKER", f"mqtt://127.0.0.1:{elsewhere}")
    serve = start_serve("--listen", "127.0.0.1:0")
    assert str(elsewhere) not in serve.url


def test_a_broker_and_a_place_to_listen_are_wrong_use_together(tmp_path: Path) -> None:
    code, said = refused_serve(
        "--listen", "127.0.0.1:0", "--broker", "mqtt://127.0.0.1:1",
        "--db", str(tmp_path / "fleet.db"),
    )  # fmt: skip
    assert code == 2
    assert "expected one of --broker and --listen" in said
    assert not list(tmp_path.iterdir())


def test_results_are_not_shared_by_collectors_with_files_of_their_own(tmp_path: Path) -> None:
    code, said = refused_serve(
        "--broker", "mqtt://127.0.0.1:1", "--shared", "--db", str(tmp_path / "fleet.db")
    )
    assert (code, said.count("\n")) == (2, 1)
    assert "a PostgreSQL: name it with --db" in said
    assert not list(tmp_path.iterdir())
