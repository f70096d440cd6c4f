"""`conform` on real brokers: the one that comes along, Mosquitto, and a NATS cluster."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import pytest

from benchmarks.lib.nats_cluster import NatsServer, nats_cluster
from contract.access import Access
from contract.address import BrokerAddress, parse_broker_url
from fleet.authority.credentials import write_credentials
from fleet.authority.rules import TRIALS
from fleet.broker.embedded import EmbeddedBroker
from fleet.conformance.finding import Conformance, Finding, Status
from fleet.conformance.kit import CHECKS
from fleet.conformance.probe import Habits, Probe
from fleet.conformance.stand import Stand
from fleet.errors import BrokerAwayError
from support.accounts import Guarded, GuardedMosquitto, GuardedNats, guarded_broker
from support.brokers import Mosquitto, free_port
from support.commands import run_command
from support.devices import PATIENCE_S, eventually

#: What is missing is waited for so long, and what a busy host delays comes within it.
TIMEOUT_S = "10"
#: Files of rules, as `broker-config` names them.
RULES = {"mosquitto": "mosquitto.acl", "nats": "accounts.conf"}


def conform(*words: str, expect: int) -> subprocess.CompletedProcess[str]:
    done = run_command("fleet", "conform", "--timeout", TIMEOUT_S, *words, timeout_s=900)
    assert done.returncode == expect, f"{done.stdout}\n{done.stderr}"
    return done


def examined(*words: str, expect: int) -> Conformance:
    return msgspec.json.decode(conform(*words, "--json", expect=expect).stdout, type=Conformance)


def named(found: Conformance, status: Status) -> set[str]:
    return {one.check for one in found.findings if one.status is status}


def of(found: Conformance, check: str) -> Finding:
    (one,) = [one for one in found.findings if one.check == check]
    return one


def ways(found: Conformance) -> list[bool | None]:
    """Whether one collector, and several that share, are possible."""
    return [way.possible for way in found.ways]


def retained_under(url: str, topic_filter: str) -> list[str]:
    """Topics of retained messages; those that come before one that is sent afterwards."""
    heard: list[str] = []
    done, mark = threading.Event(), f"mark/{uuid.uuid4().hex}"

    def hear(_client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        heard.append(message.topic)
        if message.topic == mark:
            done.set()

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.on_message = hear
    client.on_subscribe = lambda *_: client.publish(mark, b"", 1)
    client.on_connect = lambda *_: client.subscribe([(topic_filter, 1), (mark, 1)])
    address = parse_broker_url(url)
    client.connect(address.host, address.port)
    client.loop_start()
    assert done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return heard[:-1]


class Examined(msgspec.Struct, frozen=True):
    """What was found of one broker, and what it still retained afterwards."""

    found: Conformance
    left: list[str]


def examined_and_left(url: str, expect: int) -> Examined:
    found = examined("--broker", url, expect=expect)
    return Examined(found, retained_under(url, "edgewright-conform/#"))


@pytest.fixture(scope="module")
def all_three(
    mosquitto_program: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Examined]]:
    """Every broker examined; at the same time, for most of it is waiting."""
    mosquitto = Mosquitto(mosquitto_program, tmp_path_factory.mktemp("mosquitto"))
    with contextlib.ExitStack() as stack:
        stack.callback(mosquitto.stop)
        mosquitto.start()
        cluster = stack.enter_context(nats_cluster(tmp_path_factory.mktemp("nats")))
        embedded = stack.enter_context(EmbeddedBroker(BrokerAddress("127.0.0.1", 0)))
        expected = {
            "mosquitto": (mosquitto.url, 0),
            "nats": (cluster.servers[0].mqtt_url, 0),
            "embedded": (str(embedded.address), 1),
        }
        with ThreadPoolExecutor(len(expected)) as pool:
            work = {
                name: pool.submit(examined_and_left, url, code)
                for name, (url, code) in expected.items()
            }
            yield {name: one.result() for name, one in work.items()}


def attempt(name: str, address: BrokerAddress, access: Access) -> Finding:
    """One check alone."""
    (check,) = [one for one in CHECKS if one.name == name]
    return check.run(Stand(address, access, name="alone", timeout_s=float(TIMEOUT_S)))


def test_mosquitto_does_what_is_required_and_shares(all_three: dict[str, Examined]) -> None:
    found = all_three["mosquitto"].found
    assert found.conforms
    assert named(found, Status.FAILED) == set()
    assert {"mqtt-5", "shared", "shared-spread"} <= named(found, Status.PRESENT)
    assert ways(found) == [True, True]


def test_mosquitto_loses_or_strands_what_a_dying_member_held(
    all_three: dict[str, Examined],
) -> None:
    """And the kit says how much of either."""
    death = of(all_three["mosquitto"].found, "shared-death")
    assert death.status is Status.ABSENT
    assert "held 30: 0 given to another, 30 lost" in death.got
    assert "30 stranded until it came back" in death.got
    assert "send it again" in (death.means or "")


def test_a_nats_cluster_does_what_is_required_and_shares_in_its_own_way(
    all_three: dict[str, Examined],
) -> None:
    found = all_three["nats"].found
    assert found.conforms
    assert {"mqtt-5", "shared", "shared-spread"} <= named(found, Status.ABSENT)
    assert ways(found) == [True, False]
    assert "--jetstream" in (of(found, "shared").means or "")


def test_the_broker_that_comes_along_lacks_kept_sessions_alone(
    all_three: dict[str, Examined],
) -> None:
    found = all_three["embedded"].found
    assert named(found, Status.FAILED) == {"session"}
    assert "mqtt-5" in named(found, Status.ABSENT)
    assert ways(found) == [False, False]


def test_nothing_is_left_behind_on_any_broker(all_three: dict[str, Examined]) -> None:
    assert {name: one.left for name, one in all_three.items() if one.left} == {}


def test_a_limit_on_size_is_named_with_what_to_do(mosquitto_program: str, tmp_path: Path) -> None:
    broker = Mosquitto(mosquitto_program, tmp_path)
    config = tmp_path / "tight.conf"
    config.write_text(
        f"listener {broker.port} 127.0.0.1\nallow_anonymous true\nmessage_size_limit 10000\n"
    )
    broker.start(config)
    try:
        found = attempt("256-kib", parse_broker_url(broker.url), Access())
    finally:
        broker.stop()
    assert found.status is Status.FAILED
    assert "raise the broker's limit" in (found.means or "")


def test_no_broker_is_a_failure_in_one_line() -> None:
    done = conform("--broker", f"mqtt://127.0.0.1:{free_port()}", expect=1)
    assert "is it running?" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


def test_what_is_no_broker_url_is_wrong_use() -> None:
    assert "expected mqtt://HOST" in conform("--broker", "nats://127.0.0.1", expect=2).stderr


def account_words(guarded: Guarded, device: Path) -> list[str]:
    """What `conform` is told to try a device's account."""
    words = ["--broker", str(guarded.address), "--authority", str(guarded.authority.folder)]
    return [*words, "--as-device", "lab/box", "--device-password-file", str(device / "password")]


@pytest.mark.parametrize("kind", ["embedded", "mosquitto", "nats"])
def test_an_enrolled_devices_account_reaches_no_further_than_its_device(
    tmp_path: Path, mosquitto_program: str, kind: str
) -> None:
    with guarded_broker(kind, tmp_path, mosquitto_program) as guarded:
        write_credentials(guarded.authority.enroll("lab", "box"), tmp_path / "box")
        guarded.take_up()
        words = account_words(guarded, tmp_path / "box")
        expected = {"connect", "device-own", "device-publish", "device-will", "device-hear"}
        if isinstance(guarded, GuardedNats):
            words += ["--jetstream", guarded.nats_url]
            expected |= {"nats-port", "device-nats"}
        found = examined(*words, expect=0)
    assert named(found, Status.PASSED) == expected
    assert not found.ways
    if kind == "nats":
        consumers = of(found, "consumers")
        assert consumers.status is Status.PRESENT
        assert "at most 100,000 (the account's limit)" in consumers.got


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_what_was_not_tried_is_no_accusation(
    tmp_path: Path, mosquitto_program: str, kind: str
) -> None:
    with guarded_broker(kind, tmp_path, mosquitto_program) as guarded:
        write_credentials(guarded.authority.enroll("lab", "box"), tmp_path / "box")
        guarded.take_up()
        words = account_words(guarded, tmp_path / "box")
        if isinstance(guarded, GuardedNats):
            # A port of NATS with TLS, called by the scheme without.
            words += ["--jetstream", guarded.nats_url.replace("tls://", "nats://")]
            cause, blamed = "nats-port", ["device-nats"]
        else:
            (tmp_path / "box" / "password").write_text("another\n")
            cause, blamed = "device-own", ["device-publish", "device-will", "device-hear"]
        found = examined(*words, "--timeout", "20", expect=1)
    assert of(found, cause).status is Status.FAILED
    for name in blamed:
        assert of(found, name).status is Status.UNTRIED
        assert of(found, name).means == f"not tried; mend {cause} first"


@pytest.mark.parametrize(
    ("kind", "failed"),
    [("embedded", {"session"}), ("mosquitto", set()), ("nats", set())],
)
def test_the_fleets_account_tries_everything_on_a_broker_with_accounts(
    tmp_path: Path, mosquitto_program: str, kind: str, failed: set[str]
) -> None:
    with guarded_broker(kind, tmp_path, mosquitto_program) as guarded:
        words = ["--broker", str(guarded.address)]
        words += ["--authority", str(guarded.authority.folder)]
        found = examined(*words, expect=int(bool(failed)))
    assert named(found, Status.FAILED) == failed
    assert of(found, "tls").status is Status.PRESENT
    assert ways(found)[0] is (not failed)


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_an_account_without_the_kits_topics_is_told_once_and_nothing_else_is_blamed(
    tmp_path: Path, mosquitto_program: str, kind: str
) -> None:
    with guarded_broker(kind, tmp_path, mosquitto_program) as guarded:
        assert isinstance(guarded, GuardedMosquitto | GuardedNats)
        # As on a broker whose rules the operator wrote by hand.
        rules = tmp_path / "etc" / RULES[kind]
        rules.write_text(rules.read_text().replace(TRIALS, "elsewhere"))
        guarded.send_hangup()
        words = ["--broker", str(guarded.address)]
        words += ["--authority", str(guarded.authority.folder)]
        found = examined(*words, "--timeout", "3", expect=1)
    assert named(found, Status.FAILED) == {"qos-1"}
    means = of(found, "qos-1").means or ""
    assert f"{TRIALS}/#" in means
    assert "--username" in means
    assert "--as-device" in means
    assert named(found, Status.PASSED) == {"connect", "client-ids"}
    assert not named(found, Status.ABSENT)
    assert ways(found) == [None, None]
    assert {way.why for way in found.ways} == {"qos-1 failed, and what needs it was not tried"}


def test_an_account_that_reaches_further_is_told_with_what_it_reached(
    tmp_path: Path, mosquitto_program: str
) -> None:
    with guarded_broker("mosquitto", tmp_path, mosquitto_program) as guarded:
        write_credentials(guarded.authority.enroll("lab", "box"), tmp_path / "box")
        guarded.take_up()
        # As an operator writes who means well.
        (tmp_path / "etc" / "mosquitto.acl").write_text("pattern readwrite #\n")
        assert isinstance(guarded, GuardedMosquitto)
        guarded.send_hangup()
        found = examined(*account_words(guarded, tmp_path / "box"), expect=1)
    assert named(found, Status.FAILED) == {"device-publish", "device-will", "device-hear"}
    assert "/answer" in of(found, "device-publish").got
    assert "can speak for other devices" in (of(found, "device-hear").means or "")


def test_a_nats_server_that_has_little_room_is_told_so(tmp_path: Path) -> None:
    users = "users: [{ user: lab, password: lab }]"
    account = f"accounts {{ LAB {{ jetstream {{ max_consumers: 200 }}, {users} }} }}"
    server = NatsServer("n1", tmp_path, more=f'{account}\nno_auth_user: "lab"\n')
    server.start([])
    try:
        client = f"nats://127.0.0.1:{server.port}"
        assert eventually(lambda: _leaves_a_session(server))
        found = examined("--broker", server.mqtt_url, "--jetstream", client, expect=0)
    finally:
        server.kill()
    consumers = of(found, "consumers")
    assert consumers.status is Status.ABSENT
    assert "1 of them without a client; at most 200 (the account's limit)" in consumers.got
    assert "max_consumers: 100000" in (consumers.means or "")


def _leaves_a_session(server: NatsServer) -> bool:
    """Whether a client got in, subscribed at QoS 1, and left its session behind."""
    habits = Habits(clean=False)
    try:
        probe = Probe(
            parse_broker_url(server.mqtt_url),
            Access(),
            client_id="left",
            habits=habits,
            timeout_s=float(TIMEOUT_S),
        )
    except BrokerAwayError:
        return False
    granted = probe.subscribe("edgewright/v1/lab/box/desired")
    probe.close()
    return granted == [True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as-device", "lab/box"], "together"),
        (["--as-device", "lab/box", "--device-password-file", __file__], "mqtts://"),
        (["--jetstream", "mqtt://a"], "expected nats://HOST"),
    ],
)
def test_a_device_without_what_it_takes_is_wrong_use(words: list[str], said: str) -> None:
    assert said in conform("--broker", "mqtt://127.0.0.1:1", *words, expect=2).stderr
