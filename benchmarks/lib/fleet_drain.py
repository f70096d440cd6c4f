"""The section `drain`: a collector on a full queue, against a subscriber that only counts."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import psutil
from paho.mqtt.enums import CallbackAPIVersion
from rich.table import Table

from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.full_queue import PATIENCE_S, await_stored, fill, serving
from benchmarks.lib.mosquitto import SETTINGS, mosquitto
from benchmarks.lib.result_stream import EPOCH, SITE, results
from benchmarks.lib.tables import measured_table
from builder.errors import BuilderError
from contract.messages import Ack, decode_message
from contract.topics import Leaf, parse_topic, topics_of_all

_DEVICES, _EACH, _QUICK_EACH = 1000, 20, 5
_PAIRS, _QUICK_PAIRS = 5, 3
_PLAIN_ID = "plain-subscriber"


class Drain(msgspec.Struct, frozen=True, kw_only=True):
    """One queue drained: seconds from the subscription on, and processor time meanwhile."""

    seconds: float
    cpu_s: float


class Drains(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found; `ratio` is the collector's rate by the plain subscriber's."""

    devices: int
    messages: int
    message_bytes: float
    plain: list[Drain]
    #: Until every result was stored and every device's acknowledgement said so.
    collector: list[Drain]
    ratio: float
    ratios: list[float]


def measure_drain(occasion: FleetOccasion) -> Finding:
    """Fill a queue, drain it with one, fill it again, drain it with the other, and so on.

    Raises:
        BuilderError: no broker, or something did not arrive.
    """
    each = _QUICK_EACH if occasion.quick else _EACH
    stream = list(results(_DEVICES, each))
    pairs = _QUICK_PAIRS if occasion.quick else _PAIRS
    plain: list[Drain] = []
    collector: list[Drain] = []
    for number in range(pairs):
        turns = [(plain, drain_plainly), (collector, drain_by_collector)]
        for found, drain in turns if number % 2 else reversed(turns):
            folder = occasion.scratch / f"{len(plain)}-{len(collector)}"
            folder.mkdir()
            found.append(drain(folder, stream))
        occasion.progress.update("draining full queues", number + 1, pairs)
    ratios = [one.seconds / other.seconds for one, other in zip(plain, collector, strict=True)]
    found_all = Drains(
        devices=_DEVICES,
        messages=len(stream),
        message_bytes=statistics.fmean(len(payload) for _, payload in stream),
        plain=plain,
        collector=collector,
        ratio=statistics.median(ratios),
        ratios=ratios,
    )
    remark = (
        f"{len(stream):,} results of {found_all.message_bytes:,.0f} bytes, QoS 1, of "
        f"{_DEVICES:,} devices; Mosquitto: {', '.join(SETTINGS)}; collector: SQLite, until all "
        "is stored and acknowledged"
    )
    return Finding(document=found_all, tables=[_table(found_all)], remarks=[remark])


def drain_plainly(folder: Path, stream: list[tuple[str, bytes]]) -> Drain:
    """Fill a queue with topics and payloads, and count what comes out of it."""
    with mosquitto(folder) as url:
        host, port = url.removeprefix("mqtt://").split(":")
        words = [sys.executable, "-m", "benchmarks.lib.plain_subscriber", host, port, _PLAIN_ID]
        words.append(topics_of_all(Leaf.RESULT))
        _output(*words, "0")
        fill(host, int(port), stream)
        return msgspec.convert(json.loads(_output(*words, str(len(stream)))), Drain)


def drain_by_collector(folder: Path, stream: list[tuple[str, bytes]]) -> Drain:
    """Fill a queue for a collector, until each device's results are stored and acknowledged.

    The store is `fleet.db` in `folder`.
    """
    store = folder / "fleet.db"
    with mosquitto(folder) as url:
        host, port = url.removeprefix("mqtt://").split(":")
        # It subscribes and leaves, so that the broker keeps what comes.
        with serving(url, store, folder):
            pass
        fill(host, int(port), stream)
        with serving(url, store, folder) as process:
            began_s, cpu_s = time.monotonic(), _cpu_s(process)
            await_stored(store, len(stream))
            _await_acks(host, int(port), _last_places(stream))
            return Drain(seconds=time.monotonic() - began_s, cpu_s=_cpu_s(process) - cpu_s)


def _last_places(stream: list[tuple[str, bytes]]) -> dict[str, int]:
    return dict(Counter(parse_topic(topic).device for topic, _ in stream))


def _await_acks(host: str, port: int, wanted: dict[str, int]) -> None:
    """Wait until the broker has every device's acknowledgement of its last place."""
    left = dict(wanted)

    def received(_client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        _, ack = decode_message(message.topic, bytes(message.payload))
        if isinstance(ack, Ack) and ack.epochs[EPOCH].through == left.get(ack.device):
            del left[ack.device]

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="watcher")
    client.on_message = received
    client.connect(host, port)
    client.subscribe(f"edgewright/v1/{SITE}/+/{Leaf.ACK.value}", 0)
    deadline = time.monotonic() + PATIENCE_S
    while left:
        client.loop(0.1)
        if time.monotonic() > deadline:
            message = f"{len(left)} devices were not told that their results are safe"
            raise BuilderError(message)
    client.disconnect()


def _cpu_s(process: subprocess.Popen[str]) -> float:
    """Processor time of the collector and of its link process."""
    collector = psutil.Process(process.pid)
    every = [one.cpu_times() for one in (collector, *collector.children(recursive=True))]
    return float(sum(times.user + times.system for times in every))


def _output(*words: str) -> str:
    done = subprocess.run(words, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        message = f"{' '.join(words[1:4])} failed: {done.stderr.strip()}"
        raise BuilderError(message)
    return done.stdout


def _table(found: Drains) -> Table:
    table = measured_table(
        "A full queue drained", ("messages/s", "lowest", "highest", "processor us a message")
    )
    for name, drains in (("counts only", found.plain), ("collector", found.collector)):
        rates = [found.messages / one.seconds for one in drains]
        cpu_us = statistics.median(one.cpu_s for one in drains) / found.messages * 1e6
        table.add_row(
            name,
            f"{statistics.median(rates):,.0f}",
            f"{min(rates):,.0f}",
            f"{max(rates):,.0f}",
            f"{cpu_us:.0f}",
        )
    low, high = min(found.ratios), max(found.ratios)
    table.caption = f"ratio of the rates {found.ratio:.2f} ({low:.2f} to {high:.2f})"
    return table
