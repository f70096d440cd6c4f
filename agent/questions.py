"""Questions that wait for their turn, or are refused at once where it would come too late."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from agent.logs import fields
from contract.question import Answer, AnswerStatus, Request

_log = logging.getLogger(__name__)

_MOST_WAITING = 4
#: A broker delivers a request again within seconds, if it does.
_KNOWN_IDS = 256


@dataclass(frozen=True, kw_only=True)
class Question:
    """A request, and when its time is up by this device's monotonic clock."""

    request: Request
    deadline_at: float


@dataclass(frozen=True, kw_only=True)
class _Occupation:
    """What the device does now, and until about when."""

    what: str
    until: float


class Questions:
    """The device's queue of questions; one is answered at a time, and never beside a measurement.

    Args:
        send: takes an answer.
        on_question: called when there is a question to take.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        send: Callable[[Answer], None],
        on_question: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send = send
        self._on_question = on_question
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Question] = deque()
        self._known: OrderedDict[str, None] = OrderedDict()
        self._occupation: _Occupation | None = None

    def hear(self, request: Request) -> None:
        """Let a request wait, or refuse it; from any thread. A known id is passed over."""
        with self._lock:
            if request.id in self._known:
                _log.info("question_known", extra=fields(id=request.id))
                return
            self._known[request.id] = None
            if len(self._known) > _KNOWN_IDS:
                self._known.popitem(last=False)
            obstacle = self._obstacle(request)
            if obstacle is None:
                deadline_at = self._clock() + request.deadline_s
                self._waiting.append(Question(request=request, deadline_at=deadline_at))
        if obstacle is None:
            _log.info("question_waits", extra=fields(id=request.id))
            self._on_question()
        else:
            self._dismiss(request, AnswerStatus.REFUSED, obstacle)

    @contextlib.contextmanager
    def occupied(self, what: str, *, about_s: float) -> Iterator[None]:
        """While the block runs, questions wait; it takes about so many seconds."""
        with self._lock:
            self._occupation = _Occupation(what=what, until=self._clock() + about_s)
        try:
            yield
        finally:
            with self._lock:
                self._occupation = None

    def take(self) -> Question | None:
        """The next question in time to be answered, or None."""
        self.expire()
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def expire(self) -> None:
        """Tell those whose time went by while they waited."""
        if not self._waiting:
            return
        now = self._clock()
        with self._lock:
            late = [one for one in self._waiting if one.deadline_at <= now]
            self._waiting = deque(one for one in self._waiting if one.deadline_at > now)
            doing = self._occupation.what if self._occupation else "busy with another question"
        for one in late:
            reason = f"{doing} until its deadline of {one.request.deadline_s:g} s had passed"
            self._dismiss(one.request, AnswerStatus.LATE, reason)

    def close(self, reason: str) -> None:
        """Refuse those that still wait."""
        with self._lock:
            waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            self._dismiss(one.request, AnswerStatus.REFUSED, reason)

    def _obstacle(self, request: Request) -> str | None:
        if len(self._waiting) >= _MOST_WAITING:
            return f"busy: {_MOST_WAITING} questions wait already; ask again later"
        if self._occupation is None:
            return None
        left_s = self._occupation.until - self._clock()
        if left_s < request.deadline_s:
            return None
        return (
            f"{self._occupation.what}: about {left_s:.0f} s more, and the deadline is in "
            f"{request.deadline_s:g} s; give it more time, or ask again later"
        )

    def _dismiss(self, request: Request, status: AnswerStatus, reason: str) -> None:
        _log.info("question_dismissed", extra=fields(id=request.id, reason=reason))
        self._send(dismissal(request, status, reason))


def dismissal(request: Request, status: AnswerStatus, reason: str) -> Answer:
    """The one answer to a request that no variant was asked."""
    return Answer(
        site=request.site,
        device=request.device,
        at=time.time(),
        id=request.id,
        status=status,
        reason=reason,
        number=1,
        of=1,
        is_last=True,
        threads=request.threads,
    )
