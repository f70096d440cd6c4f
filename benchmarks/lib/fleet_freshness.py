"""The section `freshness`: how soon a new result shows in a recommendation, under full load."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.lib import asking_process
from benchmarks.lib.asking_process import EVERY_S, Answer
from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.full_queue import PATIENCE_S, await_stored, fill, serving
from benchmarks.lib.mosquitto import SETTINGS, mosquitto
from benchmarks.lib.result_stream import SITE, result_of, results
from benchmarks.lib.tables import measured_table
from builder.errors import BuilderError
from fleet.choosing.policy import DEFAULT_POLICY

_DEVICES, _EACH, _QUICK_EACH = 1000, 40, 10
_ROUNDS, _QUICK_ROUNDS = 3, 1
_WATCHED = "watched"
#: After so many results of other devices comes one of the device that is asked about.
_APART = 100
_LOOK_S = 0.02


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """One queue drained, while somebody asked about one device."""

    messages: int
    #: From the start of the collector until all was stored.
    seconds: float
    #: Of each result of the device: from its receipt until an answer rested on it, or a later one.
    lags_s: list[float]
    #: What each question took.
    asking_s: list[float]


class Freshness(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found; the figures are over all rounds."""

    devices: int
    asked_every_s: float
    policy: str
    watches: list[Watch]
    lag_p50_s: float
    lag_p95_s: float
    lag_max_s: float
    asking_p50_s: float
    asking_p95_s: float
    asking_max_s: float


def measure_freshness(occasion: FleetOccasion) -> Finding:
    """Drain full queues, and ask for one device's recommendation all the while.

    Raises:
        BuilderError: no broker, or something did not arrive.
    """
    each = _QUICK_EACH if occasion.quick else _EACH
    rounds = _QUICK_ROUNDS if occasion.quick else _ROUNDS
    stream = list(_watched_stream(each))
    watches = []
    for number in range(rounds):
        folder = occasion.scratch / f"{number}"
        folder.mkdir()
        watches.append(watch_drain(folder, stream))
        occasion.progress.update("draining while asking", number + 1, rounds)
    lags_s = sorted(itertools.chain.from_iterable(one.lags_s for one in watches))
    asking_s = sorted(itertools.chain.from_iterable(one.asking_s for one in watches))
    found = Freshness(
        devices=_DEVICES,
        asked_every_s=EVERY_S,
        policy=DEFAULT_POLICY,
        watches=watches,
        lag_p50_s=_quantile(lags_s, 50),
        lag_p95_s=_quantile(lags_s, 95),
        lag_max_s=lags_s[-1],
        asking_p50_s=_quantile(asking_s, 50),
        asking_p95_s=_quantile(asking_s, 95),
        asking_max_s=asking_s[-1],
    )
    rate = statistics.median(one.messages / one.seconds for one in watches)
    remark = (
        f"{rounds} queues of {len(stream):,} results, of {_DEVICES:,} devices and of the one that "
        f"is asked about every {EVERY_S * 1000:g} ms, stored {rate:,.0f} a second; policy "
        f"{DEFAULT_POLICY}; SQLite; Mosquitto: {', '.join(SETTINGS)}"
    )
    return Finding(document=found, tables=[_table(found, len(lags_s))], remarks=[remark])


def watch_drain(folder: Path, stream: list[tuple[str, bytes]]) -> Watch:
    """Fill a queue with a stream, and drain it while one of its devices is asked about.

    The stream's own results of that device are those from number 2 on.
    """
    store = folder / "fleet.db"
    with mosquitto(folder) as url:
        host, port = url.removeprefix("mqtt://").split(":")
        # It stores the first result, for the device to be known, and leaves its queue behind.
        with serving(url, store, folder):
            fill(host, int(port), [result_of(_WATCHED, 1)])
            await_stored(store, 1)
        fill(host, int(port), stream)
        watched = sum(topic == result_of(_WATCHED, 1)[0] for topic, _ in stream)
        answers = folder / "answers.jsonl"
        with _asking(store, 1 + watched, answers, folder) as asking:
            began_s = time.monotonic()
            with serving(url, store, folder):
                await_stored(store, 1 + len(stream))
                seconds = time.monotonic() - began_s
                if asking.wait(PATIENCE_S) != 0:
                    message = f"asking failed: {(folder / 'asking.log').read_text()}"
                    raise BuilderError(message)
        given = [
            msgspec.json.decode(line, type=Answer) for line in answers.read_bytes().splitlines()
        ]
    return Watch(
        messages=len(stream),
        seconds=seconds,
        lags_s=_lags_s(store, given),
        asking_s=[one.answered_at - one.asked_at for one in given],
    )


def _watched_stream(each: int) -> Iterator[tuple[str, bytes]]:
    """Results of many devices, and of the watched one among them at even distances."""
    number = 1
    for place, one in enumerate(results(_DEVICES, each), start=1):
        yield one
        if place % _APART == 0:
            number += 1
            yield result_of(_WATCHED, number)


@contextlib.contextmanager
def _asking(
    store: Path, last: int, answers: Path, folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Ask within the block; it begins with the first answer."""
    words = [sys.executable, "-m", asking_process.__name__, f"sqlite:///{store}", DEFAULT_POLICY]
    words += [SITE, _WATCHED, f"{_WATCHED}-{last}"]
    with answers.open("wb") as out, (folder / "asking.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=out, stderr=log)
    try:
        while answers.stat().st_size == 0 and process.poll() is None:
            time.sleep(_LOOK_S)
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE_S)


def _lags_s(store: Path, answers: list[Answer]) -> list[float]:
    """From receipt of each result but the first until an answer that rests on it or a later one."""
    with contextlib.closing(sqlite3.connect(store)) as connection:
        received = connection.execute(
            "SELECT results.seq, results.received_at FROM results "
            "JOIN epochs ON epochs.id = results.epoch_id "
            "JOIN devices ON devices.id = epochs.device_id "
            "WHERE devices.device = ? AND results.seq > 1 ORDER BY results.seq",
            (_WATCHED,),
        ).fetchall()
    lags, coming = [], iter(answers)
    answer = next(coming)
    for seq, received_at in received:
        while _latest_in(answer) < seq:
            answer = next(coming)
        lags.append(answer.answered_at - received_at)
    return lags


def _latest_in(answer: Answer) -> int:
    """Number of the latest result that an answer rests on."""
    return max(int(run_id.rpartition("-")[2]) for run_id in answer.run_ids)


def _quantile(ordered: list[float], percent: int) -> float:
    return ordered[(len(ordered) - 1) * percent // 100]


def _table(found: Freshness, count: int) -> Table:
    table = measured_table(
        "A new result in a recommendation, under full load", ("p50 s", "p95 s", "max s")
    )
    table.add_row(
        f"from receipt, {count:,} results",
        f"{found.lag_p50_s:.2f}",
        f"{found.lag_p95_s:.2f}",
        f"{found.lag_max_s:.2f}",
    )
    table.add_row(
        "answering a question",
        f"{found.asking_p50_s:.2f}",
        f"{found.asking_p95_s:.2f}",
        f"{found.asking_max_s:.2f}",
    )
    return table
