"""The command `ask` against a device that answers as a test tells it to."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import paho.mqtt.client as mqtt
import pytest

from contract.messages import Inventory, decode_message, encode_message
from contract.question import MAX_IMAGE_BYTES, Answer, AnswerStatus, Guess, Request
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from fleet.store.quarantine import list_quarantine
from support.brokers import Mosquitto, free_port
from support.commands import run_command
from support.measurements import make_inventory

ANSWERS = topic_for("lab", "box", Leaf.ANSWER)
IMAGE = b"not looked at by the fleet"


def answer_to(request: Request, number: int, of: int, **fields: object) -> Answer:
    """An answer as a device makes it."""
    answer = Answer(
        site=request.site,
        device=request.device,
        at=0.0,
        id=request.id,
        status=AnswerStatus.ANSWERED,
        variant=f"net-{number}",
        number=number,
        of=of,
        is_last=number == of,
        top=[Guess(label="cat", index=3, probability=0.875)],
        load_ms=400.0,
        inference_ms=8.25,
    )
    return msgspec.structs.replace(answer, **fields)


@pytest.fixture
def box(mosquitto: Mosquitto) -> Iterator[Callable[[Callable[[Request], list[bytes]]], None]]:
    """Make lab/box answer each request with the messages that a function gives."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="box")
    subscribed = threading.Event()

    def start(reply: Callable[[Request], list[bytes]]) -> None:
        def hear(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
            _, request = decode_message(message.topic, bytes(message.payload))
            assert isinstance(request, Request)
            for payload in reply(request):
                client.publish(ANSWERS, payload, 1)

        client.on_message = hear
        client.on_connect = lambda c, *_: c.subscribe(topic_for("lab", "box", Leaf.REQUEST), 1)
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1", mosquitto.port)
        client.loop_start()
        assert subscribed.wait(120)

    yield start
    client.disconnect()
    client.loop_stop()


@pytest.fixture
def ask(
    mosquitto: Mosquitto, store_url: str, tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `ask` on this test's broker."""
    image = tmp_path / "photo.jpg"
    image.write_bytes(IMAGE)

    def run(*arguments: str, device: str = "lab/box") -> subprocess.CompletedProcess[str]:
        return run_command(
            "fleet",
            "ask",
            device,
            str(image),
            *arguments,
            environment=os.environ
            | {"EDGEWRIGHT_DB": store_url, "EDGEWRIGHT_BROKER": mosquitto.url},
        )

    return run


Ask = Callable[..., subprocess.CompletedProcess[str]]
Box = Callable[[Callable[[Request], list[bytes]]], None]


def test_it_prints_a_line_a_variant_once_and_passes_over_what_is_not_its_own(
    ask: Ask, box: Box
) -> None:
    asked: list[Request] = []

    def reply(request: Request) -> list[bytes]:
        asked.append(request)
        first, second = (encode_message(answer_to(request, n, 2)) for n in (1, 2))
        another = encode_message(answer_to(request, 1, 1, id="another"))
        return [b"{", another, first, first, second]

    box(reply)
    done = ask("--variant", "net-1", "--variant", "net-2", "--threads", "2", "--top", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "1/2 net-1: cat 87.5% (inference 8.2 ms, load 400.0 ms)",
        "2/2 net-2: cat 87.5% (inference 8.2 ms, load 400.0 ms)",
    ]
    (request,) = asked
    assert (request.image, request.variants) == (IMAGE, ["net-1", "net-2"])
    assert (request.threads, request.top_k, request.deadline_s) == (2, 1, 60.0)


def test_one_variant_that_does_not_answer_makes_exit_code_1(ask: Ask, box: Box) -> None:
    box(
        lambda request: [
            encode_message(answer_to(request, 1, 2)),
            encode_message(
                answer_to(request, 2, 2, status=AnswerStatus.FAILED, reason="oom: held 500 MB")
            ),
        ]
    )
    done = ask("--json")
    assert done.returncode == 1
    answers = json.loads(done.stdout)
    assert [one["status"] for one in answers] == ["answered", "failed"]
    assert answers[0]["top"] == [{"label": "cat", "index": 3, "probability": 0.875}]
    assert ask().stdout.splitlines()[1] == "2/2 net-2: failed: oom: held 500 MB"


def test_a_refused_request_is_one_line(ask: Ask, box: Box) -> None:
    box(
        lambda request: [
            encode_message(
                answer_to(
                    request, 1, 1, variant=None, status=AnswerStatus.REFUSED, reason="measuring"
                )
            )
        ]
    )
    done = ask()
    assert (done.returncode, done.stdout) == (1, "1/1 all: refused: measuring\n")


def test_a_device_that_is_silent_or_leaves_out_an_answer_is_told(ask: Ask, box: Box) -> None:
    done = ask("--deadline-s", "0.1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "lab/box gave no answer within 0.1 s" in done.stderr
    box(lambda request: [encode_message(answer_to(request, 1, 3))])
    done = ask("--deadline-s", "0.1")
    assert done.returncode == 1
    assert "2 of 3 answers did not come" in done.stderr


def test_wrong_use_is_exit_code_2_and_says_what_to_do(ask: Ask, tmp_path: Path) -> None:
    assert "1 to 64 of a-z" in (done := ask(device="lab/Box")).stderr
    assert done.returncode == 2
    (tmp_path / "photo.jpg").write_bytes(b"x" * (MAX_IMAGE_BYTES + 1))
    assert "has 188,417 bytes: expected 1 to 188,416" in (done := ask()).stderr
    assert done.returncode == 2


def test_a_device_without_its_site_is_looked_up(ask: Ask, box: Box, database: Database) -> None:
    box(lambda request: [encode_message(answer_to(request, 1, 1))])
    done = ask(device="box")
    assert done.returncode == 2
    assert "unknown device 'box'" in done.stderr
    inventory: Inventory = make_inventory("box", site="lab")
    delivery = Delivery(
        topic=topic_for("lab", "box", Leaf.INVENTORY),
        payload=encode_message(inventory),
        retained=False,
        received_at=1.0,
    )
    Intake(database).take([delivery], now=1.0)
    assert ask(device="box").returncode == 0


def test_a_broker_that_is_away_is_exit_code_1(ask: Ask) -> None:
    done = ask("--broker", f"mqtt://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "is it running?" in done.stderr


def test_an_answer_that_reaches_the_collector_is_neither_stored_nor_refused(
    database: Database,
) -> None:
    """It does not subscribe to answers, but an old session of a broker may hold anything."""
    request = Request(site="lab", device="box", at=0.0, id="q", deadline_s=1.0, image=IMAGE)
    delivery = Delivery(
        topic=ANSWERS,
        payload=encode_message(answer_to(request, 1, 1)),
        retained=False,
        received_at=time.time(),
    )
    receipt = Intake(database).take([delivery], now=1.0)
    assert (receipt.stored, receipt.quarantined, receipt.to_ack) == (0, 0, {})
    with database.reading() as connection:
        assert list_quarantine(connection, limit=5) == []
