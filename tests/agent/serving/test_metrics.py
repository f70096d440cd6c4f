"""`/metrics` as Prometheus would read it, by a strict parser of the text format 0.0.4."""

from __future__ import annotations

import re

from agent.serving.metrics import Metrics
from support.serving import Serving, picture

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*"'
_SAMPLE = re.compile(rf"({_NAME})(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? (\S+)")
_SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}

Samples = dict[tuple[str, str], float]


def parsed(text: str) -> Samples:
    """Samples by name and labels; every family has its help and type first, and comes once."""
    assert text.endswith("\n")
    samples: Samples = {}
    families: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ", 3)[2]
            assert name not in families
        elif line.startswith("# TYPE "):
            _, _, typed, kind = line.split(" ")
            assert typed == name
            families[name] = kind
            assert not name.endswith("_total") or kind == "counter"
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            kind = families[name]
            assert match[1] in {name + suffix for suffix in _SUFFIXES[kind]}, line
            key = match[1], match[2] or ""
            assert key not in samples
            samples[key] = float(match[3])
    return samples


def metrics(server: Serving) -> Samples:
    reply = server.ask("GET", "/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return parsed(reply.body.decode())


def difference(after: Samples, before: Samples, name: str, labels: str = "") -> float:
    return after.get((name, labels), 0.0) - before.get((name, labels), 0.0)


def test_answers_are_counted_by_path_and_code(server: Serving) -> None:
    before = metrics(server)
    for body in (picture(), picture(), b"no image"):
        server.predict(body)
    server.ask("GET", "/somewhere/of/a/stranger")
    after = metrics(server)
    counted = {
        'path="/v1/predict",code="200"': 2,
        'path="/v1/predict",code="422"': 1,
        'path="other",code="404"': 1,
    }
    for labels, count in counted.items():
        assert difference(after, before, "edgewright_requests_total", labels) == count
    assert difference(after, before, "edgewright_predict_seconds_count") == 2
    assert after["edgewright_requests_in_flight", ""] == 1  # this very one
    assert not any("stranger" in labels for _, labels in after)


def test_the_worker_and_what_it_serves_are_told(server: Serving) -> None:
    now = metrics(server)
    assert now["edgewright_worker_ready", ""] == 1
    assert now["edgewright_worker_restarts_total", ""] == 0
    assert now["edgewright_worker_resident_bytes", ""] > 50_000_000
    (info,) = (labels for name, labels in now if name == "edgewright_variant_info")
    assert 'variant="tiny-sq8"' in info
    assert 'threads="1"' in info


def test_a_histogram_adds_up() -> None:
    """Buckets are cumulative, a value on a bound belongs below it, the last one holds all."""
    counts = Metrics()
    for seconds in (0.001, 0.02, 0.021, 99.0):
        counts.observe(seconds)
    samples = parsed(counts.render(choice=None, ready=False, rss_bytes=None))
    name = "edgewright_predict_seconds_bucket"
    found = {labels: value for (named, labels), value in samples.items() if named == name}
    assert list(found.values()) == sorted(found.values())
    assert found['le="0.005"'] == 1
    assert found['le="0.02"'] == 2
    assert found['le="0.04"'] == 3
    assert found['le="+Inf"'] == samples["edgewright_predict_seconds_count", ""] == 4
    assert samples["edgewright_predict_seconds_sum", ""] == 99.042


def test_without_a_worker_there_is_no_figure_of_one() -> None:
    samples = parsed(Metrics().render(choice=None, ready=False, rss_bytes=None))
    assert samples["edgewright_worker_ready", ""] == 0
    assert ("edgewright_worker_resident_bytes", "") not in samples
