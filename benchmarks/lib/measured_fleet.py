"""A store of many devices, each with a run of every variant, as a collector would have left it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator

import msgspec

from benchmarks.lib.result_stream import EPOCH, SITE, run_of
from contract.messages import Result, encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from fleet.store.deciding import fresh_standings
from fleet.store.roster import device_ids

VARIANTS = 20
POLICY = """
name = "bench"
constraints = ["p95_ms <= 150", "peak_rss_mb <= 512", "top1_drop <= 0.08"]
objectives = ["max top1", "min p95_ms"]
"""
_BATCH = 2000
_RECEIVED_AT = 1_700_000_000.0


def fill(database: Database, devices: int, progress: Callable[[int], None]) -> None:
    """Store a run of each variant for each device, and bring their standings up to date."""
    intake = Intake(database)
    stream = _results(devices)
    stored = 0
    while batch := list(itertools.islice(stream, _BATCH)):
        stored += intake.take(batch, now=_RECEIVED_AT).stored
        progress(stored)
    with database.reading() as connection:
        every = device_ids(connection)
    for _ in fresh_standings(database, every):
        pass


def _results(devices: int) -> Iterator[Delivery]:
    draw = random.Random(1)  # noqa: S311 - figures, no secret
    builds = [(draw.uniform(0.70, 0.80), draw.uniform(0.0, 0.1)) for _ in range(VARIANTS)]
    for number in range(devices):
        name = f"d-{number:06}"
        for variant, (top1, top1_drop) in enumerate(builds):
            p50_ms = draw.uniform(10.0, 200.0)
            run = msgspec.structs.replace(
                run_of(name, variant),
                variant=f"resnet50-v{variant:02}",
                p50_ms=p50_ms,
                p95_ms=p50_ms * 1.1,
                ci_low_ms=p50_ms * 0.98,
                ci_high_ms=p50_ms * 1.02,
                peak_rss_bytes=draw.randint(200_000_000, 600_000_000),
                top1=top1,
                top1_drop=top1_drop,
            )
            message = Result(site=SITE, device=name, epoch=EPOCH, seq=variant + 1, run=run)
            yield Delivery(
                topic=topic_for(SITE, name, Leaf.RESULT),
                payload=encode_message(message),
                retained=False,
                received_at=_RECEIVED_AT,
            )
