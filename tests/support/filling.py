"""Devices with results in a store, as the collector puts them there."""

from __future__ import annotations

from typing import Any

from contract.benchmark import BenchRun
from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from support.measurements import make_inventory, make_result


def deliver(site: str, device: str, leaf: Leaf, payload: bytes) -> Delivery:
    """A message as the broker delivers it."""
    return Delivery(
        topic=topic_for(site, device, leaf),
        payload=payload,
        retained=False,
        received_at=1_700_000_000.0,
    )


def fill(
    database: Database,
    device: str,
    *runs: BenchRun,
    site: str = "lab",
    first_seq: int = 1,
    **inventory: Any,  # noqa: ANN401 - any field
) -> None:
    """Store an inventory and runs of one device."""
    messages = [
        (Leaf.INVENTORY, make_inventory(device, site=site, **inventory)),
        *(
            (Leaf.RESULT, make_result(number, run, site=site, device=device))
            for number, run in enumerate(runs, start=first_seq)
        ),
    ]
    deliveries = [deliver(site, device, leaf, encode_message(one)) for leaf, one in messages]
    assert Intake(database).take(deliveries, now=1.0).quarantined == 0


def refuse_one(database: Database, site: str = "lab", device: str = "box") -> None:
    """Have one message of a device put into quarantine."""
    refused = deliver(site, device, Leaf.RESULT, b"{")
    assert Intake(database).take([refused], now=2.0).quarantined == 1
