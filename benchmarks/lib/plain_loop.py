"""A timing loop as anybody writes it, for the agent's harness to be held against.

`python -m benchmarks.lib.plain_loop BUNDLE PREPARATION SECONDS` prints the latencies in ms as
a JSON list. It uses nothing of the agent: load, prepare, warm up, call and look at the clock.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

_WARM_UP_CALLS = 10
_INPUT_SIZE = 224


def main() -> None:
    """Time a bundle on one thread."""
    path, preparation, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    side = int(sys.argv[4]) if sys.argv[4:] else _INPUT_SIZE
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    network = prepared(path, preparation)
    image = torch.rand(1, 3, side, side)
    samples_ms = []
    with torch.inference_mode():
        for _ in range(_WARM_UP_CALLS):
            network(image)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            started = time.perf_counter()
            network(image)
            samples_ms.append((time.perf_counter() - started) * 1e3)
    print(json.dumps(samples_ms))  # noqa: T201 - what it is started for


def prepared(path: str, preparation: str) -> Any:  # noqa: ANN401 - torch.jit is untyped
    """Network of a TorchScript file, as its documentation says to prepare one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        load: Callable[..., Any] = torch.jit.load
        network = load(path).eval()
        if preparation != "as-built":
            network = torch.jit.freeze(network)
        if preparation == "optimized":
            network = torch.jit.optimize_for_inference(network)
    return network


if __name__ == "__main__":
    main()
