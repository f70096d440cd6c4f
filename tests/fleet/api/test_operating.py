"""What changes something."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.address import parse_broker_url
from contract.group import group_fault
from contract.messages import Desired, decode_message
from fleet.api.shelf import PolicyShelf
from fleet.store.database import Database
from fleet.store.tokens import Role
from support.api import ApiServer
from support.brokers import Mosquitto
from support.devices import DeviceClient, eventually
from support.filling import fill, refuse_one
from support.measurements import make_run


@pytest.fixture
def api(database: Database, mosquitto: Mosquitto) -> Iterator[ApiServer]:
    server = ApiServer(database, broker=parse_broker_url(mosquitto.url))
    with contextlib.closing(server):
        yield server


def test_apply_publishes_the_desired_state_and_says_who_did_it(
    api: ApiServer,
    database: Database,
    mosquitto: Mosquitto,
    connect: Callable[..., DeviceClient],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fill(database, "box", make_run())
    device = connect(mosquitto.url)
    operate = api.token(Role.OPERATE)
    url = "/api/v1/devices/lab/box/apply"
    dry = api.client.post(url, params={"dry_run": "true"}, headers=operate).json()
    assert (dry["changed"], dry["desired"]["generation"]) == (True, 1)
    with caplog.at_level(logging.INFO, "fleet"):
        done = api.client.post(url, headers=operate)
    assert (done.status_code, done.json()["desired"]["variant"]) == (200, "net-base")
    assert eventually(lambda: len(device.heard) == 1)
    topic, body, _ = device.heard[0]
    message = decode_message(topic, body)[1]
    assert isinstance(message, Desired)
    assert (message.variant, message.generation) == ("net-base", 1)
    assert "operated what=applied subject=lab/box token=t" in caplog.text
    assert api.get("/devices/lab/box")["desired_variant"] == "net-base"


def test_a_device_that_nothing_fits_is_left_alone(api: ApiServer, database: Database) -> None:
    fill(database, "slow", make_run(p50_ms=900.0))
    operate = api.token(Role.OPERATE)
    told = api.client.post("/api/v1/devices/lab/slow/apply", headers=operate).json()
    assert (told["desired"], told["changed"]) == (None, False)
    assert told["reason"].startswith("nearest-miss")


def test_without_a_broker_the_wish_is_stored_and_the_answer_says_so(
    api: ApiServer, database: Database, mosquitto: Mosquitto
) -> None:
    fill(database, "box", make_run())
    mosquitto.stop()
    answer = api.client.post("/api/v1/devices/lab/box/apply", headers=api.token(Role.OPERATE))
    assert answer.status_code == 502
    assert "is it running?" in answer.json()["detail"]
    assert api.get("/devices/lab/box")["desired_generation"] == 1


def test_a_group_is_called_as_devices_call_theirs(api: ApiServer, database: Database) -> None:
    fill(database, "box", make_run(), groups=["Warm Hall"])
    operate = api.token(Role.OPERATE)
    url = "/api/v1/devices/lab/box/groups"
    assert api.client.put(f"{url}/Cold%20Hall", headers=operate).status_code == 200
    for name in ("Warm Hall", "Cold Hall"):
        assert len(api.get("/devices", group=name)["items"]) == 1
    assert api.client.delete(f"{url}/Cold%20Hall", headers=operate).status_code == 200
    refused = [
        api.client.put(f"{url}/%20a", headers=operate),
        api.client.delete(f"{url}/%20a", headers=operate),
        api.client.get("/api/v1/devices", params={"group": " a"}),
    ]
    for answer in refused:
        assert answer.status_code == 422
        assert answer.json()["detail"] == f"{group_fault(' a')}; rename it"


def test_a_device_goes_into_a_group_and_out_of_it(api: ApiServer, database: Database) -> None:
    fill(database, "box", make_run(), groups=["own"])
    operate = api.token(Role.OPERATE)

    def members(name: str) -> list[str]:
        return [one["device"] for one in api.get("/devices", group=name)["items"]]

    url = "/api/v1/devices/lab/box/groups"
    assert api.client.put(f"{url}/pi", headers=operate).json()["device"] == "box"
    assert members("pi") == ["box"]
    assert api.client.delete(f"{url}/pi", headers=operate).status_code == 200
    assert members("pi") == []
    stays = api.client.delete(f"{url}/own", headers=operate)
    assert (stays.status_code, "stays" in stays.json()["detail"]) == (409, True)


def test_a_refused_message_is_read_once_more(api: ApiServer, database: Database) -> None:
    refuse_one(database)
    operate = api.token(Role.OPERATE)
    told = api.client.post("/api/v1/quarantine/1/replay", headers=operate).json()
    assert (told["number"], "truncated" in told["problem"]) == (1, True)
    assert api.client.post("/api/v1/quarantine/9/replay", headers=operate).status_code == 404


def test_checking_a_policy_counts_and_stores_nothing(api: ApiServer, database: Database) -> None:
    fill(database, "a", make_run())
    fill(database, "b", make_run(p50_ms=900.0))
    toml = b'name = "p"\nconstraints = ["p95_ms <= 150"]\nobjectives = ["max top1"]\n'
    told = api.client.post("/api/v1/policies/check", content=toml, params={"limit": 1}).json()
    assert (told["devices"], told["would_change"], told["left_alone"]) == (2, 1, 1)
    assert [one["device"] for one in told["changes"]] == ["a"]
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM decisions").scalar() == 0


def test_policies_of_a_folder_are_offered_beside_the_ready_ones(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "ours.toml").write_text('name = "ours"\nobjectives = ["min p95_ms"]\n')
    fill(database, "a", make_run("net-base"), make_run("net-fast", p50_ms=1.0, top1=0.5))
    with contextlib.closing(ApiServer(database, shelf=PolicyShelf(tmp_path))) as api:
        names = {one["name"]: one["ready"] for one in api.get("/policies")}
        assert (names["fastest"], names["ours"]) == (True, False)
        (row,) = api.get("/recommendations", policy="ours")["items"]
    assert (row["policy"], row["variant"]) == ("ours", "net-fast")


def test_a_damaged_policy_does_not_hide_the_others(database: Database, tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    (tmp_path / "ours.toml").write_text('name = "ours"\nobjectives = ["min p95_ms"]\n')
    with contextlib.closing(ApiServer(database, shelf=PolicyShelf(tmp_path))) as api:
        names = [one["name"] for one in api.get("/policies")]
        assert api.client.get("/api/v1/policies/bytes").status_code == 422
    assert "ours" in names
    assert "bytes" not in names
