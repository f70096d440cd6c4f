"""A program of its own: decide for every device of a store from a cold start, and say what it took.

Prints one JSON document. The peak is of the whole process, its imports included.
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import msgspec

_BEGAN = time.perf_counter()


class ColdChoice(msgspec.Struct, frozen=True, kw_only=True):
    """What it took; `start_s` is importing and opening the store."""

    devices: int
    start_s: float
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


def main(store_url: str, policy_file: str) -> None:
    """Decide, store the decisions, and print the document."""
    from fleet.choosing.policy import load_policy  # noqa: PLC0415 - part of what is timed
    from fleet.store.database import open_database  # noqa: PLC0415
    from fleet.store.deciding import choose_for_all  # noqa: PLC0415

    database = open_database(store_url, create=False)
    policy = load_policy(policy_file)
    ready, cpu_s = time.perf_counter(), time.process_time()
    decided = choose_for_all(database, policy, now=time.time())
    found = ColdChoice(
        devices=len(decided),
        start_s=ready - _BEGAN,
        wall_s=time.perf_counter() - ready,
        cpu_s=time.process_time() - cpu_s,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    sys.stdout.write(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    # Python would look for packages beside this file only.
    sys.path[0] = str(Path(__file__).resolve().parents[2])
    main(*sys.argv[1:])
