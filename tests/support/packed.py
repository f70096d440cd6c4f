"""Runs packed the way the store keeps them, beside the candidates that they make."""

from __future__ import annotations

from collections.abc import Sequence

from contract.benchmark import BenchRun
from contract.interval import Interval
from fleet.choosing.build import Build, build_of
from fleet.choosing.candidate import Candidate, Provenance, candidate_of
from fleet.choosing.figures import pack_entry, pack_figures

#: A run with the interval of its 95th percentile.
Measured = tuple[BenchRun, Interval | None]


class Catalogue:
    """Numbers for builds, in the order in which they are met."""

    def __init__(self) -> None:
        self.builds: dict[int, Build] = {}

    def number(self, run: BenchRun) -> int:
        """Number of the build of a run."""
        build = build_of(run)
        known = next((number for number, one in self.builds.items() if one == build), None)
        if known is None:
            known = len(self.builds) + 1
            self.builds[known] = build
        return known

    def pack(self, runs: Sequence[Measured]) -> bytes:
        """Entries of one device."""
        return b"".join(
            pack_entry(
                build_id=self.number(run),
                threads=run.threads,
                epoch_id=1,
                seq=seq,
                received_at=float(seq),
                figures=pack_figures(run, interval),
            )
            for seq, (run, interval) in enumerate(runs, start=1)
        )


def candidates_of(runs: Sequence[Measured]) -> tuple[Candidate, ...]:
    """Candidates that the runs make."""
    return tuple(
        candidate_of(run, interval, Provenance(received_at=float(seq), processes=run.processes))
        for seq, (run, interval) in enumerate(runs, start=1)
    )
