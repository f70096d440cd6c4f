"""Bundles by the builder's own commands, as a user makes them, with the time that each took."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder.errors import BuilderError
from builder.progress import Progress
from contract.bundle import read_manifest
from contract.bundleset import Member, read_set, verify_member
from contract.manifest import Manifest

_TIMES = "build-seconds.json"
#: Starts the builder as its users do.
BUILDER: Sequence[str] = (sys.executable, "-m", "builder")
#: How `edgewright-builder` reports a variant on stderr.
OUTCOME = re.compile(r"\s*(built|unchanged|unsupported|failed) (\S+?)(?:: (.*))?")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to build."""

    architecture: str
    data: Path
    #: `none` or a file.
    weights: str
    recipe: str
    input_size: int
    seed: int
    out: Path

    @property
    def options(self) -> Mapping[str, object]:
        """Options that `build` and `search` share."""
        return {
            "--data": self.data,
            "--weights": self.weights,
            "--recipe": self.recipe,
            "--input-size": self.input_size,
            "--seed": self.seed,
            "--out": self.out,
        }


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """One bundle, verified."""

    path: Path
    member: Member
    manifest: Manifest
    #: None where it was found finished and nobody had stopped the time.
    build_s: float | None


@dataclass(frozen=True, kw_only=True)
class Built:
    """The bundles of one network, the base first, and what could not be built."""

    bundles: tuple[Bundle, ...]
    missed: tuple[str, ...]

    @property
    def base(self) -> Bundle:
        """The bundle in which nothing is changed."""
        return self.bundles[0]


def build_bundles(order: Order, progress: Progress) -> Built:
    """Run `edgewright-builder build` and read what it left; finished bundles are used again.

    A build time runs from the end of the variant before: what several share, as pruning and
    its tuning, is in the first one's. Times are kept beside the bundles for later runs.

    Raises:
        BuilderError: the base could not be built.
        ContractError: the set cannot be read.
        OSError: the folder cannot be written.
    """
    order.out.mkdir(parents=True, exist_ok=True)
    times_file = order.out / _TIMES
    seconds: dict[str, float] = {}
    if times_file.exists():
        seconds = msgspec.json.decode(times_file.read_bytes(), type=dict[str, float])
    names, missed, last_line = [], [], "no reason given"
    started: float | None = None
    with _start(order) as process:
        for line in process.stderr or ():
            last_line = line.strip() or last_line
            # The first line comes when torch is imported and the work begins.
            started = started or time.monotonic()
            outcome = OUTCOME.fullmatch(line.rstrip("\n"))
            if outcome is None:
                progress.update(last_line, 0, 1)
                continue
            status, name, reason = outcome.groups()
            if status == "built":
                seconds[name] = time.monotonic() - started
            if status in {"built", "unchanged"}:
                names.append(name)
            else:
                missed.append(f"{name}: {reason}")
            started = time.monotonic()
    times_file.write_bytes(msgspec.json.encode(seconds))
    if not names or names[0] != read_set(order.out).baseline:
        message = f"building {order.architecture} failed: {(missed or [last_line])[0]}"
        raise BuilderError(message)
    bundles = [read_bundle(order.out, name, seconds.get(name)) for name in names]
    return Built(bundles=tuple(bundles), missed=tuple(missed))


def read_bundle(folder: Path, name: str, build_s: float | None) -> Bundle:
    """Bundle of a set, verified.

    Raises:
        BuilderError: the set does not name it.
        ContractError: it is damaged.
    """
    member = read_set(folder).member(name)
    if member is None:
        message = f"{folder}: the builder reported {name}, and its set does not name it"
        raise BuilderError(message)
    path = verify_member(folder, member)
    return Bundle(path=path, member=member, manifest=read_manifest(path), build_s=build_s)


def words(options: Mapping[str, object]) -> list[str]:
    """Options as words of a command line."""
    return [str(word) for pair in options.items() for word in pair]


def _start(order: Order) -> subprocess.Popen[str]:
    return subprocess.Popen(
        # Its report would time every variant, and the figures here are timed otherwise.
        [*BUILDER, "build", order.architecture, *words(order.options), "--no-report"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
