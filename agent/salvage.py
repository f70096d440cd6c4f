"""Opens the outbox, and begins a new one where the file of the old one is damaged."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.errors import JournalBrokenError, JournalError
from agent.journal import Journal, condemnation_of
from agent.logs import fields
from agent.outbox import Outbox, is_whole
from contract.benchmark import BenchRun
from contract.messages import Result
from edgewright.private_files import mode_for_others

_log = logging.getLogger(__name__)

#: Only the last damaged file is kept: a dying card must not fill itself with them.
_ASIDE = ".damaged"
_FORWARDS = (
    "SELECT seq, payload, crc32 FROM outbox WHERE NOT is_tombstone AND NOT is_acked ORDER BY seq"
)
_BACKWARDS = f"{_FORWARDS} DESC"
_RESULT = msgspec.json.Decoder(Result)


def open_outbox(path: Path, *, limit_bytes: int, site: str, device: str) -> tuple[Journal, Outbox]:
    """Journal and the outbox in it.

    A damaged file is renamed, and said so. Results that can be read from it and were not
    acknowledged go into a new outbox; the fleet stores none of them twice, for it knows a run
    by its id. What else the file told is lost: the sweep is measured again.

    Raises:
        JournalError: it cannot be opened, was written by a later Edgewright, or is damaged and
            cannot be renamed.
    """
    try:
        opened = _open(path, limit_bytes=limit_bytes, site=site, device=device)
    except JournalBrokenError as error:
        rescued = _rescue(path)
        aside = _set_aside(path)
        extra = fields(path=path, aside=aside, rescued=len(rescued), error=error)
        _log.error("journal_set_aside", extra=extra)
    else:
        _log_if_open_to_others(path)
        return opened
    journal, outbox = _open(path, limit_bytes=limit_bytes, site=site, device=device)
    with journal.transaction() as connection:
        for run in rescued:
            outbox.append(connection, run)
    return journal, outbox


def _log_if_open_to_others(path: Path) -> None:
    """Name the mode of a file that an earlier agent or the operator opened to others; it stays."""
    mode = mode_for_others(path)
    if mode:
        _log.warning("journal_open_to_others", extra=fields(path=path, mode=mode))


def _open(path: Path, *, limit_bytes: int, site: str, device: str) -> tuple[Journal, Outbox]:
    journal = Journal(path, limit_bytes=limit_bytes)
    try:
        return journal, Outbox(journal, site=site, device=device)
    except BaseException:
        journal.close()
        raise


def _rescue(path: Path) -> list[BenchRun]:
    """Runs before the damage and behind it, in the order of their places."""
    found: dict[int, BenchRun] = {}
    for query in (_FORWARDS, _BACKWARDS):
        with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
            for seq, payload in _results(path, query):
                with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
                    found[seq] = _RESULT.decode(payload).run
    return [found[seq] for seq in sorted(found)]


def _results(path: Path, query: str) -> Iterator[tuple[int, bytes]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(query)
        yield from ((seq, payload) for seq, payload, crc32 in rows if is_whole(payload, crc32))


def _set_aside(path: Path) -> Path:
    aside = path.with_name(path.name + _ASIDE)
    try:
        for end in ("", "-wal"):
            source, target = (one.with_name(one.name + end) for one in (path, aside))
            target.unlink(missing_ok=True)
            if source.exists():
                source.replace(target)
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        condemnation_of(path).unlink(missing_ok=True)
    except OSError as error:
        message = f"{path}: it is damaged and cannot be renamed: {error.strerror}; check the disk"
        raise JournalError(message) from error
    return aside
