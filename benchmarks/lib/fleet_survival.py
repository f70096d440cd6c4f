"""The section `survival`: malformed messages among good ones, while the collector is killed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec
import sqlalchemy as sa
from rich.table import Table

from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.fleet_programs import FLEET, start_serve
from benchmarks.lib.malformed import Message, mutated
from benchmarks.lib.mosquitto import mosquitto
from benchmarks.lib.ports import free_port
from benchmarks.lib.result_stream import EPOCH, SITE
from benchmarks.lib.sending_devices import Account, SendingDevice, SendingDevices
from benchmarks.lib.tables import measured_table
from builder.errors import BuilderError
from contract.access import Access
from contract.address import BrokerAddress
from contract.topics import Leaf, topic_for
from fleet.authority.authority import Authority
from fleet.store.database import Database, open_database
from fleet.store.schema import quarantine, results

_PATIENCE_S = 600.0
_LOOK_S = 0.1
_SEED = 7
#: Malformed messages are of an outbox of their own: a place that is refused is closed.
_OTHER_EPOCH = "e-9"


@dataclass(frozen=True, kw_only=True)
class Load:
    """How much there is to survive."""

    devices: int
    #: Good results, and malformed messages, of each device.
    each: int
    kills: int


FULL = Load(devices=50, each=200, kills=10)
QUICK = Load(devices=50, each=20, kills=3)


class Survival(msgspec.Struct, frozen=True, kw_only=True):
    """What was there in the end."""

    broker: str
    published: int
    stored: int
    acknowledged: int
    #: Rows of results beyond one for each run.
    duplicates: int
    malformed: int
    #: Different malformed messages in quarantine, and those that were never sent.
    quarantined: int
    strangers: int
    #: Malformed messages that a killed broker had confirmed and lost; they were sent again.
    said_again: int
    resends: int
    kills: int
    #: From the start of each collector after a kill until it was ready.
    ready_s: list[float]
    seconds: float


class Survivals(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found, by broker."""

    runs: list[Survival]


def measure_survival(occasion: FleetOccasion) -> Finding:
    """Send good and malformed messages over both brokers, with TLS and accounts.

    Raises:
        BuilderError: no broker, or something did not arrive.
    """
    load = QUICK if occasion.quick else FULL
    runs = []
    for number, broker in enumerate((mosquitto_broker, embedded_broker)):
        folder = occasion.scratch / broker.__name__
        folder.mkdir()
        runs.append(survive(folder, broker, load, f"sqlite:///{folder / 'fleet.db'}"))
        occasion.progress.update("killing collectors", number + 1, 2)
    remark = (
        f"{load.devices} devices with accounts over TLS, {load.each} results and {load.each} "
        f"malformed messages each; 'serve' ended by SIGKILL {load.kills} times; SQLite. 'again': "
        "malformed messages that were lost with a killed process, which nobody else sends again; "
        "'ready s': median and most of the seconds from the start after a kill"
    )
    return Finding(document=Survivals(runs=runs), tables=[_table(runs)], remarks=[remark])


@dataclass(frozen=True, kw_only=True)
class Broker:
    """A broker, and how `serve` is told to use or bring it."""

    name: str
    address: BrokerAddress
    serve_words: list[str]


MakeBroker = Callable[[Path, Authority], contextlib.AbstractContextManager[Broker]]


@contextlib.contextmanager
def mosquitto_broker(folder: Path, authority: Authority) -> Iterator[Broker]:
    """Mosquitto with what `broker-config` writes."""
    address = BrokerAddress("127.0.0.1", free_port(), tls=True)
    listen = f"{address.host}:{address.port}"
    config = folder / "broker"
    words = ["broker-config", "--out", str(config), "--listen", listen]
    _run_fleet([*words, "--authority", str(authority.folder)])
    if os.geteuid() == 0:
        # Else it becomes a user that may not look into this folder.
        with (config / "mosquitto.conf").open("a") as file:
            file.write("user root\n")
    with mosquitto(folder, config=config / "mosquitto.conf", port=address.port):
        yield Broker(
            name="Mosquitto", address=address, serve_words=["--broker", f"mqtts://{listen}"]
        )


@contextlib.contextmanager
def embedded_broker(_folder: Path, _authority: Authority) -> Iterator[Broker]:
    """The broker that `serve` brings along, and that dies with it."""
    address = BrokerAddress("127.0.0.1", free_port(), tls=True)
    words = ["--listen", f"mqtts://{address.host}:{address.port}"]
    yield Broker(name="embedded", address=address, serve_words=words)


def survive(folder: Path, make_broker: MakeBroker, load: Load, store_url: str) -> Survival:
    """Send everything, kill the collector now and then, and count what is there in the end.

    Args:
        folder: empty, for what is needed besides the store.
        make_broker: starts a broker for the authority of the devices' accounts.
        load: how much.
        store_url: of an empty store.

    Raises:
        BuilderError: not all was acknowledged.
    """
    authority = Authority.open(folder / "authority")
    accounts = [_enrolled(authority, f"d-{number}", folder) for number in range(load.devices)]
    malformed = _malformed([one.device for one in accounts], load.devices * load.each)
    began_s = time.monotonic()
    with make_broker(folder, authority) as broker:
        serve = _Serve(
            [*broker.serve_words, "--db", store_url, "--authority", str(authority.folder)], folder
        )
        with (
            serve,
            contextlib.closing(open_database(store_url, create=False)) as database,
            SendingDevices(
                SendingDevice(
                    one, broker.address, results=load.each, malformed=malformed[one.device]
                )
                for one in accounts
            ) as sending,
        ):
            ready_s = _kill_now_and_then(serve, sending, load)
            said_again = _await_all(sending, database, malformed)
            return _count(
                database,
                sending,
                malformed,
                load,
                broker=broker.name,
                said_again=said_again,
                ready_s=ready_s,
                seconds=time.monotonic() - began_s,
            )


class _Serve:
    """`edgewright-fleet serve`, which can be killed and started again."""

    def __init__(self, words: list[str], folder: Path) -> None:
        self._words = words
        self._log = folder / "serve.log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it in order."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE_S)

    def start(self) -> float:
        """Start it; gives the seconds until it was ready."""
        began_s = time.monotonic()
        self._process = start_serve(self._words, self._log)
        return time.monotonic() - began_s

    def kill(self) -> None:
        """End it as a power cut does."""
        assert self._process is not None  # noqa: S101 - it was started
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(_PATIENCE_S)


def _enrolled(authority: Authority, device: str, folder: Path) -> Account:
    credentials = authority.enroll(SITE, device)
    file = folder / f"{device}.password"
    file.write_text(credentials.password)
    return Account(
        device=device,
        access=Access(ca_file=authority.ca_file, username=credentials.username, password_file=file),
    )


def _malformed(devices: list[str], count: int) -> dict[str, list[Message]]:
    """Different malformed messages of each device, all under its own topics."""
    draw = random.Random(_SEED)  # noqa: S311 - no secret
    by_device: dict[str, list[Message]] = {device: [] for device in devices}

    def any_topic(leaf: str) -> str:
        return topic_for(SITE, draw.choice(devices), Leaf(leaf))

    for topic, payload in mutated(any_topic, count, draw):
        device = topic.split("/")[3]
        other = payload.replace(f'"{EPOCH}"'.encode(), f'"{_OTHER_EPOCH}"'.encode())
        by_device[device].append((topic, other))
    return by_device


def _kill_now_and_then(serve: _Serve, sending: SendingDevices, load: Load) -> list[float]:
    """Kill the collector each time that so many more results are acknowledged."""
    ready_s = []
    total = load.devices * load.each
    for number in range(1, load.kills + 1):
        goal = total * number // (load.kills + 1)
        _await(functools.partial(_has_acked, sending, goal), sending)
        serve.kill()
        ready_s.append(serve.start())
    return ready_s


def _has_acked(sending: SendingDevices, goal: int) -> bool:
    return sending.acked >= goal


def _await_all(
    sending: SendingDevices, database: Database, malformed: dict[str, list[Message]]
) -> int:
    """Wait until all was said; malformed messages that were lost with a broker are said again."""
    _await(lambda: sending.are_done, sending)
    said_again = 0
    deadline = time.monotonic() + _PATIENCE_S
    patience_s = 5.0
    while missing := _not_put_away(database, malformed):
        if time.monotonic() > deadline:
            break
        time.sleep(patience_s)
        still = _not_put_away(database, malformed)
        if len(still) < len(missing):
            # They are coming.
            continue
        said_again += sum(map(len, still.values()))
        for device in sending.devices:
            device.say(still.get(device.name, []))
        _await(lambda: sending.are_done, sending)
    return said_again


def _not_put_away(
    database: Database, malformed: dict[str, list[Message]]
) -> dict[str, list[Message]]:
    known = _quarantined(database)
    missing = {
        device: [one for one in messages if _key(one) not in known]
        for device, messages in malformed.items()
    }
    return {device: messages for device, messages in missing.items() if messages}


def _quarantined(database: Database) -> set[tuple[str, str]]:
    with database.reading() as connection:
        rows = connection.execute(sa.select(quarantine.c.topic, quarantine.c.payload_sha256))
        return {(topic, digest) for topic, digest in rows}


def _key(message: Message) -> tuple[str, str]:
    topic, payload = message
    return topic, hashlib.sha256(payload).hexdigest()


def _count(
    database: Database,
    sending: SendingDevices,
    malformed: dict[str, list[Message]],
    load: Load,
    *,
    broker: str,
    said_again: int,
    ready_s: list[float],
    seconds: float,
) -> Survival:
    said = {_key(one) for messages in malformed.values() for one in messages}
    kept = _quarantined(database)
    with database.reading() as connection:
        run_ids = list(connection.scalars(sa.select(results.c.run_id)))
    return Survival(
        broker=broker,
        published=load.devices * load.each,
        stored=len(set(run_ids)),
        acknowledged=sending.acked,
        duplicates=len(run_ids) - len(set(run_ids)),
        malformed=len(said),
        quarantined=len(said & kept),
        strangers=len(kept - said),
        said_again=said_again,
        resends=sending.resends,
        kills=load.kills,
        ready_s=ready_s,
        seconds=seconds,
    )


def _await(is_so: Callable[[], bool], sending: SendingDevices) -> None:
    """Wait as long as something moves.

    Raises:
        BuilderError: it does not come true.
    """
    acked, deadline = -1, 0.0
    while not is_so():
        if sending.acked > acked:
            acked, deadline = sending.acked, time.monotonic() + _PATIENCE_S
        if time.monotonic() > deadline:
            message = f"{acked} results are acknowledged, and no more since {_PATIENCE_S:g} s"
            raise BuilderError(message)
        time.sleep(_LOOK_S)


def _run_fleet(words: list[str]) -> None:
    done = subprocess.run([*FLEET, *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{words[0]} failed: {done.stderr}"
        raise BuilderError(message)


def _table(runs: list[Survival]) -> Table:
    columns = (
        "sent", "stored", "acked", "twice", "malformed", "put away", "again", "kills",
        "ready s", "most", "seconds",
    )  # fmt: skip
    table = measured_table("Malformed messages and killed collectors", columns)
    for run in runs:
        ordered = sorted(run.ready_s)
        table.add_row(
            run.broker,
            f"{run.published:,}",
            f"{run.stored:,}",
            f"{run.acknowledged:,}",
            str(run.duplicates),
            f"{run.malformed:,}",
            f"{run.quarantined:,}",
            str(run.said_again),
            str(run.kills),
            f"{ordered[len(ordered) // 2]:.1f}",
            f"{ordered[-1]:.1f}",
            f"{run.seconds:.0f}",
        )
    return table
