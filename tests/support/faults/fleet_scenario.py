"""A fleet that stores a device's results: `python -m support.faults.fleet_scenario FOLDER MARKS`.

Each line of MARKS is the number of results that the fleet had acknowledged by then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from contract.messages import encode_message
from support.faults.store import Store
from support.measurements import make_result, make_run

EPOCH = "e-1"
RESULTS = 24
_AT_ONCE = 3


def store_path(folder: Path) -> Path:
    """Where the fleet has its store."""
    return folder / "lib" / "fleet.db"


def payload(number: int) -> bytes:
    """One result, as the device sends it however often."""
    run = make_run(run_id=f"run-{number}", samples_ms=[float(number)] * 100)
    return encode_message(make_result(number, run, epoch=EPOCH))


def main(folder: Path, marks: Path) -> None:
    """Store all results, a few at a time."""
    said = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    store = Store(store_path(folder))
    for first in range(1, RESULTS + 1, _AT_ONCE):
        store.take([payload(number) for number in range(first, first + _AT_ONCE)])
        os.write(said, f"{store.ack()[EPOCH].through}\n".encode())
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
