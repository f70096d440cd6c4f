"""What a collector counts."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from contract.topics import Leaf, topic_for
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.measurements import make_result


def test_a_collector_counts_what_it_takes_stores_and_refuses(
    start_serve: Callable[..., ServeProcess], connect: Callable[..., DeviceClient]
) -> None:
    serve = start_serve(
        "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--log-format", "json"
    )
    url = serve.ready_line.split("metrics=")[1].strip()
    device = connect(serve.url)
    for seq in (1, 2):
        device.send(make_result(seq))
    device.send(make_result(1))
    device.publish(topic_for("lab", "box", Leaf.RESULT), b"{")

    def told() -> dict[str, float]:
        families = text_string_to_metric_families(httpx.get(url).text)
        return {one.name: one.value for family in families for one in family.samples}

    assert eventually(lambda: told()["edgewright_messages_total"] == 4)
    figures = told()
    assert figures["edgewright_results_stored_total"] == 2
    assert figures["edgewright_duplicates_total"] == 1
    assert figures["edgewright_quarantined_total"] == 1
    assert figures["edgewright_store_failures_total"] == 0
    assert 1 <= figures["edgewright_batch_messages_count"] <= 4
    assert (
        figures["edgewright_ingest_lag_seconds_count"] == figures["edgewright_batch_messages_count"]
    )
    assert serve.stop() == 0
    lines = [json.loads(line) for line in serve.log.read_text().splitlines()]
    assert {"connected", "quarantined"} <= {line["event"] for line in lines}


def test_its_figures_are_for_this_machine_alone(tmp_path: object) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "fleet",
            "serve",
            "--metrics",
            "0.0.0.0:9100",
            "--db",
            f"{tmp_path}/x",
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, "expected a loopback one" in done.stderr) == (2, True)
