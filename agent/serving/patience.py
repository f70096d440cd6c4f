"""How long the server waits, how much it takes, and how many it lets wait."""

from __future__ import annotations

from dataclasses import dataclass

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on what clients may send."""

    head_bytes: int = 16 * 1024
    body_bytes: int = 16 * _MEBIBYTE
    #: Bodies of all clients together; a small box must not be filled with uploads.
    bodies_bytes: int = 64 * _MEBIBYTE
    connections: int = 128
    #: Requests that wait for the worker, the one that it answers included.
    waiting: int = 32
    top: int = 1000


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds after which waiting ends."""

    #: From a request's first byte to the end of its header.
    head_s: float = 10.0
    #: For the whole body, however slowly it drips.
    body_s: float = 30.0
    #: Between two requests of one connection.
    idle_s: float = 75.0
    #: For a client to take its answer.
    write_s: float = 30.0
    #: For a worker to be free, or to be there again after it died.
    worker_s: float = 30.0
    #: For one answer of the worker.
    answer_s: float = 30.0
    #: For a worker to load and prove its bundle.
    start_s: float = 120.0
    #: Before a worker that failed again and again is started anew.
    first_back_off_s: float = 0.5
    longest_back_off_s: float = 30.0
    #: Between two looks at what is to be served.
    look_s: float = 1.0
    #: For accepted requests to be answered at the end.
    grace_s: float = 60.0
