"""Runs commands of one program in forks of a process that has imported it already.

`python fork_server.py PACKAGE SOCKET MODULE...`: by the socket come three descriptors for each
command: a connection, and its standard output and error. By the connection comes what to run, and
back go the process id and, once it has ended, the exit status. When the socket is closed, it ends.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
from importlib import import_module


def _wait_for_a_command(control: socket.socket) -> list[int]:
    """Descriptors of the next command, in a process that is there for this one only."""
    # The system buries those processes.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        told, descriptors, _, _ = socket.recv_fds(control, 1, 3)
        if not told:
            raise SystemExit
        if os.fork() == 0:
            control.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return list(descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _become_the_command(descriptors: list[int]) -> None:
    """Return in the process that is to run it; the one before tells how that ended."""
    connection = socket.socket(fileno=descriptors[0])
    with connection.makefile("rw") as talk:
        asked = json.loads(talk.readline())
        pid = os.fork()
        if pid:
            try:
                talk.write(f"{pid}\n")
                talk.flush()
                _, status = os.waitpid(pid, 0)
                talk.write(f"{os.waitstatus_to_exitcode(status)}\n")
                talk.flush()
            finally:
                # Also where nobody waits for the answer any more.
                os._exit(0)
    connection.close()
    for standard, descriptor in zip((1, 2), descriptors[1:], strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv[:] = asked["words"]


if __name__ == "__main__":
    _, _package, _socket, *_modules = sys.argv
    for _module in _modules:
        import_module(_module)
    # What is there by now stays, so that the forks share its memory.
    gc.freeze()
    _become_the_command(_wait_for_a_command(socket.socket(fileno=int(_socket))))
    # From here on it is the program, and ends as that does.
    import_module(f"{_package}.__main__").main()
