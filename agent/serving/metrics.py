"""What the server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from agent.serving.choice import Choice

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: From an INT8 network on a server to a large one on a small board.
_BUCKETS_S = (0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0, 10.0)
_NO_LABELS: Mapping[str, str] = {}

_Sample = tuple[str, Mapping[str, str], float]


class Metrics:
    """Counts since the server's start."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, int]] = Counter()
        self._buckets = [0] * (len(_BUCKETS_S) + 1)
        self._seconds = 0.0
        self._deaths = 0
        self._memory_deaths = 0
        self._switches = 0
        self._failed_switches = 0
        #: Requests that were received and not answered yet.
        self.in_flight = 0

    def answered(self, path: str, status: int) -> None:
        """Count an answer; `path` is one of ours, so that strangers cannot make series."""
        self._requests[path, status] += 1

    def observe(self, seconds: float) -> None:
        """Take note of how long a prediction took, waiting included."""
        self._buckets[bisect_left(_BUCKETS_S, seconds)] += 1
        self._seconds += seconds

    def worker_died(self, *, for_memory: bool) -> None:
        """Count a worker that died while it served."""
        self._deaths += 1
        self._memory_deaths += for_memory

    def switched(self) -> None:
        """Count a worker that took another one's place."""
        self._switches += 1

    def switch_failed(self) -> None:
        """Count a bundle that could not be served."""
        self._failed_switches += 1

    def render(
        self,
        *,
        choice: Choice | None,
        ready: bool,
        rss_bytes: int | None,
        limit_bytes: int | None = None,
    ) -> str:
        """All metrics.

        Args:
            choice: what is served, or should be.
            ready: whether it is.
            rss_bytes: resident set of the worker; None while there is none.
            limit_bytes: what a worker may hold; None for no limit.
        """
        info = {}
        if choice is not None:
            info = {
                "variant": choice.variant,
                "sha256": choice.sha256,
                "threads": str(choice.threads),
            }
        families = (
            _family(
                "requests_total",
                "counter",
                "Requests by path and status code.",
                (
                    ("", {"path": path, "code": str(code)}, count)
                    for (path, code), count in sorted(self._requests.items())
                ),
            ),
            _family(
                "predict_seconds",
                "histogram",
                "From a whole request to its answer, waiting included.",
                self._histogram(),
            ),
            _one("requests_in_flight", "gauge", "Requests not answered yet.", self.in_flight),
            _one("worker_ready", "gauge", "Whether a worker serves.", int(ready)),
            _one("worker_restarts_total", "counter", "Workers that died serving.", self._deaths),
            _one(
                "worker_memory_kills_total",
                "counter",
                "Of these, those that held more memory than they may.",
                self._memory_deaths,
            ),
            _one("switches_total", "counter", "Changes of what is served.", self._switches),
            _one(
                "switch_failures_total",
                "counter",
                "Bundles that could not be served.",
                self._failed_switches,
            ),
            _family(
                "worker_resident_bytes",
                "gauge",
                "Resident set of the worker process.",
                [] if rss_bytes is None else [("", _NO_LABELS, rss_bytes)],
            ),
            _family(
                "worker_memory_limit_bytes",
                "gauge",
                "What a worker may hold.",
                [] if limit_bytes is None else [("", _NO_LABELS, limit_bytes)],
            ),
            _family(
                "variant_info",
                "gauge",
                "What is served.",
                [("", info, 1)] if info and ready else [],
            ),
        )
        return "".join(f"{line}\n" for family in families for line in family)

    def _histogram(self) -> Iterator[_Sample]:
        total = 0
        for bound, count in zip((*_BUCKETS_S, float("inf")), self._buckets, strict=True):
            total += count
            yield "_bucket", {"le": "+Inf" if bound == float("inf") else f"{bound:g}"}, total
        yield "_sum", _NO_LABELS, self._seconds
        yield "_count", _NO_LABELS, total


def _one(name: str, kind: str, explained: str, value: float) -> Iterator[str]:
    return _family(name, kind, explained, [("", _NO_LABELS, value)])


def _family(name: str, kind: str, explained: str, samples: Iterable[_Sample]) -> Iterator[str]:
    name = f"edgewright_{name}"
    yield f"# HELP {name} {explained}"
    yield f"# TYPE {name} {kind}"
    for suffix, labels, value in samples:
        pairs = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        yield f"{name}{suffix}{{{pairs}}} {value:.17g}" if pairs else f"{name}{suffix} {value:.17g}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
