"""Raw samples that stay on the box."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

from agent.samples import SampleArchive
from agent.sweep import Finished
from support.measurements import make_run


def finished(number: int, samples: int = 5000) -> Finished:
    """A run of many samples."""
    run = make_run(run_id=f"{number:032x}")
    return Finished(run=run, samples_ms=[1.0 + (i * number) % 97 / 1000 for i in range(samples)])


def test_every_sample_of_a_long_run_is_kept_in_its_order(tmp_path: Path) -> None:
    """A message takes 4,096 of them; those runs have a file, others need none."""
    archive = SampleArchive(tmp_path / "samples")
    long = finished(7)
    archive.keep(finished(1, samples=4096))
    archive.keep(long)
    (path,) = (tmp_path / "samples").iterdir()
    assert path.name == f"{7:032x}.txt.gz"
    kept = [float(line) for line in gzip.decompress(path.read_bytes()).split()]
    assert kept == long.samples_ms


def test_the_oldest_go_when_the_folder_is_full(tmp_path: Path) -> None:
    """A small disk must not fill up over the years."""
    archive = SampleArchive(tmp_path, limit_bytes=25_000)
    for number in range(1, 6):
        archive.keep(finished(number))
        os.utime(tmp_path / f"{number:032x}.txt.gz", (number, number))
    archive.keep(finished(6))
    names = sorted(path.name[:32] for path in tmp_path.iterdir())
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 25_000
    assert names
    assert names[-1] == f"{6:032x}"
    assert names == [f"{number:032x}" for number in range(7 - len(names), 7)]


def test_a_folder_that_cannot_be_written_costs_only_the_samples(tmp_path: Path) -> None:
    """The result itself stands in the outbox."""
    (tmp_path / "samples").write_text("a file where the folder should be")
    SampleArchive(tmp_path / "samples").keep(finished(1))
    assert (tmp_path / "samples").is_file()
