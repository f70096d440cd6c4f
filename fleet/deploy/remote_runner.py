"""Runs one script on the box under the box's lock, and ends it when its connection ends.

`fleet.deploy.remote_command` sends this file to the box's Python, which is 3.11 or later and has
nothing of ours: it imports the standard library alone. Standard input holds one line of JSON (a
`Request`), then the script's content, if any. After that the connection is watched: its end, or
the word `stop`, ends the script with all that it started.

The lock is `flock` on one file. Whoever deploys takes it exclusively, writes a token into the file,
and keeps it shared; each script of that deploy holds it shared as well, as do the children of the
script, so the next deploy gets it once the last of them has ended. A script whose token is no
longer the file's belongs to a deploy that lost the box, and does not begin.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import IO, BinaryIO, TypedDict

#: Exit codes, beside those of the scripts.
BOX_TAKEN, CUT_OFF, STOPPED = 96, 97, 98
#: Number of the lock's descriptor in scripts: one that starts what shall live on closes it.
LOCK_DESCRIPTOR = 9
_TERM_PATIENCE_S, _KILL_PATIENCE_S = 5.0, 5.0
_LOOK_S = 0.05
_LOCK_BYTES = 4096
_CHUNK_BYTES = 1 << 16


class Request(TypedDict):
    """What is asked for, in one line of JSON."""

    #: Path of the lock's file; None: no lock.
    lock: str | None
    #: Of the deploy; with `by`, `since` and `doing` it stands in the lock's file.
    token: str
    by: str
    since: str
    doing: str
    #: The script; None: only hold the lock until the connection ends.
    script: str | None
    #: Bytes that follow for the script's standard input; None: it has none.
    content_bytes: int | None
    #: Whether the script is finished even where the connection ends.
    finish: bool
    #: Without a sign of life for so long the lock is let go.
    silent_s: float


def main(incoming: BinaryIO) -> int:
    """Do what the request asks; returns the exit code."""
    request: Request = json.loads(incoming.readline())
    os.umask(0o022)
    if request["script"] is None:
        return _hold(request)
    if request["lock"] is not None:
        problem = _share(request["lock"], request)
        if problem is not None:
            sys.stderr.write(f"{problem}\n")
            return BOX_TAKEN
    return _run(request["script"], request, incoming)


def _hold(request: Request) -> int:
    """Take the lock, say so, and keep it while somebody is at the other end."""
    path = str(request["lock"])
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 - plain on purpose
        lock = _taken(path, request)
    except OSError as error:
        _say({"answer": "failed", "reason": str(error)})
        return 0
    if lock is None:
        _say({"answer": "busy"} | _holder(path))
        return 0
    _say({"answer": "held"})
    # Whoever deploys sends a sign of life now and then. A connection that broke without a word
    # is not noticed here for hours.
    while select.select([0], [], [], request["silent_s"])[0] and os.read(0, _CHUNK_BYTES):
        pass
    os.close(lock)
    return 0


def _taken(path: str, request: Request) -> int | None:
    """Descriptor of the lock, held; None where somebody else holds it."""
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not _is_at(path, lock):
                # It was removed between the two, with the whole agent.
                os.close(lock)
                continue
            _note(lock, request)
            # Not in one move: where somebody came between, it is theirs.
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return lock


def _share(path: str, request: Request) -> str | None:
    """Hold the lock with the deploy that has it; returns what is in the way of that."""
    try:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError:
            lock = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return f"the lock of this deploy is lost ({error}); run the same command again"
    if _holder(path).get("token") != request["token"]:
        return "another deploy has taken the box meanwhile; look what it did, then deploy again"
    # Who may only look does not note what is done.
    with contextlib.suppress(OSError):
        _note(lock, request)
    os.dup2(lock, LOCK_DESCRIPTOR, inheritable=True)
    if lock != LOCK_DESCRIPTOR:
        os.close(lock)
    return None


def _run(script: str, request: Request, incoming: BinaryIO) -> int:
    child = subprocess.Popen(
        # Braces: nothing runs before all of it is there. Its commands must not read it either.
        ["sh", "-s"] if request["content_bytes"] is None else ["sh", "-c", script],
        stdin=subprocess.PIPE,
        # So that it can be ended with all that it started.
        start_new_session=True,
        pass_fds=[LOCK_DESCRIPTOR] if request["lock"] is not None else [],
    )
    if child.stdin is None:
        return CUT_OFF
    with contextlib.suppress(BrokenPipeError):
        if request["content_bytes"] is None:
            child.stdin.write(script.encode())
        elif not _passed_on(incoming, child.stdin, request["content_bytes"]):
            # First ended, then closed: half a file must not be taken for a whole one.
            _end(child)
            sys.stderr.write("what was sent ended early\n")
            return CUT_OFF
    with contextlib.suppress(BrokenPipeError):
        child.stdin.close()
    ending = threading.Event()
    watched = (incoming, child, request, ending)
    watcher = threading.Thread(target=_watch, args=watched, daemon=True)
    watcher.start()
    code = child.wait()
    if ending.is_set():
        watcher.join(_TERM_PATIENCE_S + _KILL_PATIENCE_S)
        return STOPPED
    # As a shell tells of a signal.
    return code if code >= 0 else 128 - code


def _passed_on(incoming: BinaryIO, child: IO[bytes], count: int) -> bool:
    """Whether all of the content came, and was handed to the script."""
    left = count
    while left:
        chunk = incoming.read(min(left, _CHUNK_BYTES))
        if not chunk:
            return False
        child.write(chunk)
        left -= len(chunk)
    return True


def _watch(
    incoming: BinaryIO, child: subprocess.Popen[bytes], request: Request, ending: threading.Event
) -> None:
    """End the script when it is told to stop, or when nobody is at the other end."""
    while word := incoming.readline():
        if word.strip() == b"stop":
            break
    else:
        if request["finish"]:
            return
    ending.set()
    _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the script and all that it started and that made no session of its own."""
    for number, patience_s in (
        (signal.SIGTERM, _TERM_PATIENCE_S),
        (signal.SIGKILL, _KILL_PATIENCE_S),
    ):
        deadline = time.monotonic() + patience_s
        try:
            os.killpg(child.pid, number)
            while time.monotonic() < deadline:
                child.poll()
                os.killpg(child.pid, 0)
                time.sleep(_LOOK_S)
        except ProcessLookupError:
            return


def _note(lock: int, request: Request) -> None:
    told = {key: request[key] for key in ("token", "by", "since", "doing")}
    content = json.dumps(told).encode().ljust(_LOCK_BYTES)
    # One write of the same length: who reads meanwhile gets the one or the other.
    os.pwrite(lock, content[:_LOCK_BYTES], 0)


def _holder(path: str) -> dict[str, str]:
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - plain on purpose
            found = json.loads(file.read(_LOCK_BYTES))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_at(path: str, descriptor: int) -> bool:
    try:
        there = os.stat(path)  # noqa: PTH116 - plain on purpose
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _say(answer: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _code = main(sys.stdin.buffer)
    sys.stderr.flush()
    # At once: an orderly end would wait for the standard input that a thread is reading.
    os._exit(_code)
