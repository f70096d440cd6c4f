"""A program that asks for one device's recommendation again and again, as a page or the API does.

`python -m benchmarks.lib.asking_process STORE_URL POLICY SITE DEVICE LAST_RUN` prints each answer
as a line of JSON, until one rests on the run LAST_RUN.
"""

from __future__ import annotations

import contextlib
import sys
import time

import msgspec

from fleet.choosing.policy import load_policy
from fleet.store.database import open_database
from fleet.store.recommendation import recommend
from fleet.store.roster import device_called

#: From one question to the next.
EVERY_S = 0.05


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One answer; times are seconds since the epoch."""

    asked_at: float
    answered_at: float
    #: Runs that the recommendation rests on.
    run_ids: list[str]


def main() -> None:
    """Ask."""
    store_url, policy_name, site, device, last_run = sys.argv[1:]
    policy = load_policy(policy_name)
    with contextlib.closing(open_database(store_url, create=False)) as database:
        with database.reading() as connection:
            number = device_called(connection, site, device).id
        run_ids: list[str] = []
        while last_run not in run_ids:
            asked_at = time.time()
            (found,) = recommend(database, policy, [number], now=asked_at)
            run_ids = [one.run_id for one in found.evidence.candidates]
            answer = Answer(asked_at=asked_at, answered_at=time.time(), run_ids=run_ids)
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
            time.sleep(max(0.0, asked_at + EVERY_S - time.time()))


if __name__ == "__main__":
    main()
