"""Sweeps by the agent's own command, as a user starts them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from builder.errors import BuilderError
from contract.benchmark import BenchRun, RunStatus
from contract.bundleset import BundleSet, read_set, write_set


def sweep(bundles: Path, *options: str, core: int | None = None) -> list[BenchRun]:
    """Runs of one `edgewright-agent bench`.

    Args:
        bundles: the set.
        options: further words of the command line.
        core: where to hold the command and its workers; None leaves it to them.

    Raises:
        BuilderError: a run did not go well.
    """
    words = [sys.executable, "-m", "agent", "bench", str(bundles), "--json", *options]
    runs = msgspec.json.decode(output_of(words, core=core), type=list[BenchRun])
    for run in runs:
        if run.status is not RunStatus.OK:
            message = f"{run.variant}: {run.status.value}: {run.reason}"
            raise BuilderError(message)
    return runs


def output_of(words: Sequence[str], *, core: int | None = None) -> str:
    """What a command prints.

    Raises:
        BuilderError: it failed; the message has its last line.
    """
    if core is not None:
        before = os.sched_getaffinity(0)
        # What is started inherits it.
        os.sched_setaffinity(0, {core})
    try:
        done = subprocess.run(words, check=False, capture_output=True, text=True)
    finally:
        if core is not None:
            os.sched_setaffinity(0, before)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        message = f"{' '.join(words[:5])} failed: {last}"
        raise BuilderError(message)
    return done.stdout


def set_of_one(bundles: Path, variant: str, folder: Path) -> Path:
    """Bundle set in `folder` that has one variant of another set, as its own baseline.

    Raises:
        BuilderError: the set does not have it.
    """
    member = read_set(bundles).member(variant)
    if member is None:
        message = f"{bundles}: no variant {variant}"
        raise BuilderError(message)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(bundles / member.file, folder / member.file)
    write_set(folder, BundleSet(baseline=variant, members=[member]))
    return folder
