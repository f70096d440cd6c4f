"""The journal of a search: each finished trial on a line of its own, safe on the disk."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from builder.outcome import Status
from builder.search.trial import Trial

_log = logging.getLogger(__name__)

_SCHEMA = 1


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    """First line: which search the trials below belong to."""

    schema: int
    digest: str


class Journal:
    """Trials in the order in which they ended, kept in a file that only grows.

    Each line is flushed to the disk before `append` returns. A last line that a crash cut
    short is dropped, and its trial is made again.
    """

    def __init__(self, path: Path, trials: list[Trial], length: int) -> None:
        """Continue the journal at `path` behind its first `length` bytes; see `open_journal`."""
        self._path = path
        self._trials = trials
        self._length = length

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Every finished trial, those of earlier runs first."""
        return tuple(self._trials)

    def append(self, trial: Trial) -> None:
        """Keep `trial`.

        Raises:
            OSError: the file cannot be written.
        """
        self._write(msgspec.json.encode(trial))
        self._trials.append(trial)

    def _write(self, line: bytes) -> None:
        with self._path.open("r+b") as file:
            # Behind the last whole line: what an interrupted write left is cut off.
            file.truncate(self._length)
            file.seek(self._length)
            file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._length = file.tell()


def open_journal(path: Path, digest: str) -> Journal:
    """Journal at `path` with the trials of this very search, or an empty one.

    Trials that failed are left out, so that they are made again.

    Args:
        path: the file, which is made where there is none.
        digest: names everything that decides the results (space, data, seed, versions). The
            journal of a search with another one is set aside under another name.

    Raises:
        OSError: the file cannot be read or written.
    """
    header = msgspec.json.encode(_Header(schema=_SCHEMA, digest=digest))
    content = path.read_bytes() if path.exists() else b""
    first, newline, rest = content.partition(b"\n")
    if newline and first == header:
        # What follows the last newline was never finished.
        whole = rest[: rest.rfind(b"\n") + 1]
        trials = _decode(whole.splitlines(), path)
        return Journal(path, trials, len(first) + 1 + len(whole))
    path.parent.mkdir(parents=True, exist_ok=True)
    if newline:
        aside = _free_name(path)
        path.replace(aside)
        _log.warning(
            "%s belongs to a search of something else (other networks, data, seed, options or "
            "versions): it is kept as %s, and this search starts anew",
            path,
            aside.name,
        )
    path.write_bytes(b"")
    journal = Journal(path, [], 0)
    journal._write(header)  # noqa: SLF001 - the same noun
    return journal


def _decode(lines: list[bytes], path: Path) -> list[Trial]:
    trials = {}
    for number, line in enumerate(lines, start=2):
        try:
            trial = msgspec.json.decode(line, type=Trial)
        except msgspec.MsgspecError as error:
            _log.warning("%s: line %d is left out: %s", path, number, error)
            continue
        trials[trial.candidate] = trial
    # What failed may have failed for want of space or memory: it is tried again, and does not
    # count. What a network cannot have it cannot have tomorrow either.
    return [trial for trial in trials.values() if trial.status is not Status.FAILED]


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.{number}{path.suffix}")).exists():
        number += 1
    return aside
