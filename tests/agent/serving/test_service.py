"""A worker dies, or another variant is wanted, while clients ask."""

from __future__ import annotations

import io
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from agent.activation import Activation
from agent.serving.choice import Chooser
from agent.serving.patience import Limits, Patience
from agent.serving.report import ServingReport
from contract.bundleset import read_set
from contract.messages import Desired
from support.processes import wait_until
from support.serving import picture, serving
from support.tiny_bundles import Fragile, Greedy, SetMaker

PATIENCE = Patience(look_s=0.1, first_back_off_s=0.1, answer_s=20.0)


@pytest.fixture
def own_set(good_set: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(good_set, tmp_path / "set"))


def white() -> bytes:
    """File of a white image."""
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "white").save(file, format="PNG")
    return file.getvalue()


def activate(
    state: Path,
    bundles: Path,
    variant: str,
    *,
    generation: int = 1,
    preparation: str | None = None,
) -> None:
    """Make a variant the active one, as the agent does on the fleet's wish."""
    member = read_set(bundles).member(variant)
    assert member is not None
    activation = Activation(state)
    desired = Desired(
        site="lab",
        device="box",
        at=0.0,
        generation=generation,
        variant=variant,
        sha256=member.sha256,
        threads=1,
        policy="any",
    )
    activation.settle(activation.standing.adopting(desired, preparation=preparation))


def test_a_request_whose_worker_is_killed_is_answered_by_the_next_one(good_set: Path) -> None:
    with (
        serving(Chooser(good_set, variant="tiny-base"), patience=PATIENCE) as server,
        ThreadPoolExecutor(3) as pool,
    ):
        top = server.predict(picture()).json["top"]
        (worker,) = server.workers()
        worker.send_signal(signal.SIGSTOP)
        asked = [pool.submit(server.predict, picture()) for _ in range(3)]
        wait_until("all three are there", lambda: server.in_flight() == 3)
        worker.kill()
        assert [(one.result().status, one.result().json["top"]) for one in asked] == [
            (200, top)
        ] * 3
        assert "edgewright_worker_restarts_total 1\n" in server.ask("GET", "/metrics").body.decode()


def test_an_image_that_kills_two_workers_is_given_up_and_others_are_answered(
    set_maker: Callable[[], SetMaker],
) -> None:
    maker = set_maker()
    maker.add("tiny-base", Fragile(), script=True, logits=Fragile.LOGITS)
    with serving(Chooser(maker.finish()), patience=PATIENCE) as server:
        reply = server.predict(white())
        assert (reply.status, reply.json["error"]) == (502, "worker-died")
        assert "too bright" in reply.json["message"]
        assert server.predict(picture(), "?top=1").json["top"][0]["label"] == "cat"


def test_a_worker_that_hangs_is_replaced(good_set: Path) -> None:
    patience = Patience(look_s=0.1, answer_s=1.0)
    with serving(Chooser(good_set), patience=patience) as server:
        (worker,) = server.workers()
        worker.send_signal(signal.SIGSTOP)
        reply = server.predict(picture())
        assert (reply.status, reply.json["error"]) == (504, "no-answer")
        assert server.predict(picture()).status == 200


def test_more_than_may_wait_are_told_to_come_again(good_set: Path) -> None:
    limits = Limits(waiting=2)
    with (
        serving(Chooser(good_set), limits=limits, patience=PATIENCE) as server,
        ThreadPoolExecutor(2) as pool,
    ):
        (worker,) = server.workers()
        worker.send_signal(signal.SIGSTOP)
        asked = [pool.submit(server.predict, picture()) for _ in range(2)]
        wait_until("both are there", lambda: server.in_flight() == 2)
        refused = server.predict(picture())
        worker.send_signal(signal.SIGCONT)
        assert (refused.status, refused.json["error"]) == (503, "busy")
        assert refused.headers["retry-after"] == "1"
        assert [one.result().status for one in asked] == [200, 200]


def test_switching_under_load_loses_no_request(own_set: Path, tmp_path: Path) -> None:
    """Three clients ask without a pause while the active variant changes twice."""
    state = tmp_path / "active.json"
    activate(state, own_set, "tiny-base")
    over = threading.Event()
    with (
        serving(Chooser(own_set, standing=state), patience=PATIENCE) as server,
        ThreadPoolExecutor(3) as pool,
    ):

        def ask_on() -> list[tuple[int, str]]:
            answers = []
            while not over.is_set():
                reply = server.predict(picture())
                answers.append((reply.status, reply.json.get("variant", reply.json)))
            return answers

        clients = [pool.submit(ask_on) for _ in range(3)]
        try:
            activate(state, own_set, "tiny-sq8", generation=2)
            server.wait_for("tiny-sq8")
            activate(state, own_set, "tiny-dq8", generation=3)
            server.wait_for("tiny-dq8")
        finally:
            over.set()
        answers = Counter(answer for client in clients for answer in client.result())
        wait_until("the others are gone", lambda: len(server.workers()) == 1)
        counted = server.ask("GET", "/metrics").body.decode()
    assert {status for status, _ in answers} == {200}, answers
    assert {variant for _, variant in answers} >= {"tiny-base", "tiny-sq8"}
    total = answers.total()
    assert f'edgewright_requests_total{{path="/v1/predict",code="200"}} {total}\n' in counted
    assert "edgewright_switches_total 2\n" in counted
    assert "edgewright_worker_restarts_total 0\n" in counted


def test_a_variant_that_is_damaged_is_refused_and_taken_once_it_is_whole(
    own_set: Path, tmp_path: Path
) -> None:
    state = tmp_path / "active.json"
    activate(state, own_set, "tiny-base")
    file = own_set / "tiny-sq8.pt"
    whole = file.read_bytes()
    file.write_bytes(whole[:2000] + b"\0" + whole[2001:])
    with serving(Chooser(own_set, standing=state), patience=PATIENCE) as server:
        activate(state, own_set, "tiny-sq8", generation=2)
        wait_until("it is refused", lambda: bool(server.health()["problem"]))
        health = server.health()
        assert (health["variant"], health["ready"]) == ("tiny-base", True)
        assert "tiny-sq8" in health["problem"]
        assert server.predict(picture()).json["variant"] == "tiny-base"
        file.write_bytes(whole)
        server.wait_for("tiny-sq8")
        assert server.health()["problem"] is None


def test_a_variant_that_computes_something_else_is_never_served(
    set_maker: Callable[[], SetMaker], tmp_path: Path
) -> None:
    """After a restart of the worker as well: what served before is served again."""
    maker = set_maker()
    maker.add("tiny-base")
    maker.add("tiny-wrong", wrong_golden=True)
    folder = maker.finish()
    state = tmp_path / "active.json"
    with serving(Chooser(folder, standing=state), patience=PATIENCE) as server:
        activate(state, folder, "tiny-wrong")
        wait_until("it is refused", lambda: bool(server.health()["problem"]))
        assert "wrong-numerics" in server.health()["problem"]
        (worker,) = server.workers()
        worker.kill()
        wait_until("a new worker is there", lambda: worker not in server.workers())
        server.wait_until_ready()
        assert server.predict(picture()).json["variant"] == "tiny-base"


def test_without_a_worker_health_says_why_and_clients_are_told_to_come_again(
    set_maker: Callable[[], SetMaker],
) -> None:
    maker = set_maker()
    maker.add("tiny-base", wrong_golden=True)
    patience = Patience(worker_s=0.3, first_back_off_s=0.1)
    with serving(Chooser(maker.finish()), patience=patience, ready=False) as server:
        wait_until("it is refused", lambda: bool(server.health()["problem"]))
        health = server.ask("GET", "/v1/health")
        assert health.status == 503
        assert health.json["ready"] is False
        reply = server.predict(picture())
        assert (reply.status, reply.json["error"]) == (503, "not-ready")
        assert "golden logits differ" in reply.json["message"]


def test_a_bundle_that_is_not_the_one_the_fleet_chose_is_not_served(
    own_set: Path, tmp_path: Path
) -> None:
    """The baseline stands in, and the problem says what to do."""
    state = tmp_path / "active.json"
    activate(state, own_set, "tiny-sq8")
    text = (own_set / "set.json").read_text()
    member = read_set(own_set).member("tiny-sq8")
    assert member is not None
    (own_set / "set.json").write_text(text.replace(member.sha256, "f" * 64))
    ranking = Chooser(own_set, standing=state).choose()
    assert ranking.first is None
    assert [choice.variant for choice in ranking.substitutes] == ["tiny-base"]
    assert "apply it again" in (ranking.problem or "")


def test_what_served_before_stands_in_for_what_cannot_be_loaded(
    own_set: Path, tmp_path: Path
) -> None:
    """The last good one, and not the baseline; once its file is whole, the active one again."""
    state = tmp_path / "active.json"
    activate(state, own_set, "tiny-dq8")
    activate(state, own_set, "tiny-sq8", generation=2)
    file = own_set / "tiny-sq8.pt"
    whole = file.read_bytes()
    file.unlink()
    with serving(Chooser(own_set, standing=state), patience=PATIENCE) as server:
        health = server.health()
        assert health["variant"] == "tiny-dq8"
        assert "tiny-sq8" in health["problem"]
        file.write_bytes(whole)
        server.wait_for("tiny-sq8")
        assert server.health()["problem"] is None


def test_a_worker_over_its_memory_limit_is_replaced_and_that_is_told(
    set_maker: Callable[[], SetMaker],
) -> None:
    maker = set_maker()
    maker.add("tiny-base", Greedy(), script=True, logits=Fragile.LOGITS)
    with serving(
        Chooser(maker.finish()), patience=PATIENCE, memory_limit_bytes=700_000_000
    ) as server:
        assert server.predict(picture()).status == 200
        server.predict(white())
        wait_until("it was replaced", lambda: server.health()["replaced"] is not None)
        assert "over its limit of 700 MB" in server.health()["replaced"]
        server.wait_until_ready()
        assert server.predict(picture()).status == 200
        counted = server.ask("GET", "/metrics").body.decode()
    assert "edgewright_worker_memory_kills_total 0" not in counted
    assert "edgewright_worker_memory_limit_bytes 700000000\n" in counted


def test_a_variant_that_needs_more_than_a_worker_may_hold_is_not_served(good_set: Path) -> None:
    """Importing torch alone takes more than this."""
    patience = Patience(first_back_off_s=0.1)
    with serving(
        Chooser(good_set, variant="tiny-sq8"),
        patience=patience,
        ready=False,
        memory_limit_bytes=120_000_000,
    ) as server:
        wait_until("it is refused", lambda: bool(server.health()["problem"]))
        assert "oom" in server.health()["problem"]
        assert server.health()["ready"] is False


def test_the_fastest_preparation_is_taken_where_it_is_known(good_set: Path, tmp_path: Path) -> None:
    state = tmp_path / "active.json"
    activate(state, good_set, "tiny-base", preparation="frozen")
    reports: list[ServingReport] = []
    with serving(Chooser(good_set, standing=state), on_report=reports.append):
        wait_until("it was told", lambda: bool(reports and reports[-1].served))
    served = reports[-1].served
    assert served is not None
    assert (served.variant, served.preparation) == ("tiny-base", "frozen")


def test_a_newer_wish_for_what_is_served_restarts_nothing(good_set: Path, tmp_path: Path) -> None:
    state = tmp_path / "active.json"
    activate(state, good_set, "tiny-sq8")
    reports: list[ServingReport] = []
    chooser = Chooser(good_set, standing=state)
    with serving(chooser, patience=PATIENCE, on_report=reports.append) as server:
        (worker,) = server.workers()
        activate(state, good_set, "tiny-sq8", generation=2)
        wait_until("the newer wish is told", lambda: reports[-1].generation == 2)
        assert reports[-1].served is not None
        assert server.workers() == [worker]


def test_a_server_that_an_agent_started_waits_for_its_bundles(
    good_set: Path, tmp_path: Path
) -> None:
    """It says what is missing, and serves once that is there."""
    folder = tmp_path / "set"
    reports: list[ServingReport] = []
    chooser = Chooser(folder)
    with serving(chooser, patience=PATIENCE, ready=False, on_report=reports.append) as server:
        assert server.ask("GET", "/v1/health").status == 503
        assert "no readable set.json" in (reports[-1].problem or "")
        shutil.copytree(good_set, folder)
        server.wait_for("tiny-base")
        wait_until("it is told", lambda: reports[-1].served is not None)
        assert reports[-1].problem is None
