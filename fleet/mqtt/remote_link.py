"""The collector's end of a link process: starts it, hears it, and starts it again."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from contract.access import Access
from contract.address import BrokerAddress
from contract.messages import Ack, Desired, encode_message
from fleet.logs import LogFormat
from fleet.mqtt.client import make_client
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import (
    Arrived,
    Frames,
    Order,
    Say,
    SessionKept,
    Settled,
    StreamOrder,
    Trouble,
    frame,
    write_all,
)
from fleet.mqtt.link import Session, topic_of

_log = logging.getLogger(__name__)

_HEARD = msgspec.msgpack.Decoder(Arrived | SessionKept | Trouble)
_PROGRAM = "fleet.mqtt.link_process"
_RESTART_AFTER_S = 1.0
_END_PATIENCE_S = 10.0
#: A link process says every few seconds that it lives; one that hangs would never be heard again.
_SILENCE_S = 60.0
_WORDS_IN_SILENCE = 10
#: After the first of a batch: a batch costs as much as many messages in it.
_GATHER_S = 0.02
#: One frame to the link process; it publishes them one by one.
_SAID_AT_ONCE = 500


class RemoteLink:
    """A subscribed connection in a process of its own; feed `receive` in a loop.

    Args:
        address: of the broker.
        access: what proves this account; its files are read in the other process.
        client_name: what the client id begins with; what follows only the password yields.
        session: what the broker does for the subscription.
        topics: what to subscribe to; all that devices say, where none are given.
        program: module that the other process runs.
        stream: what else that program consumes.
        former_ids: client ids whose sessions are ended as soon as the broker takes us.
        on_session_kept: told under which client id the broker keeps our session.
        log_format: of the other process's log.
        silence_s: after so long without a word of the other process, another one is started.

    Raises:
        BrokerAwayError: a file of the access cannot be read.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        access: Access,
        client_name: str,
        session: Session,
        topics: Sequence[str] = (),
        program: str = _PROGRAM,
        stream: StreamOrder | None = None,
        former_ids: Sequence[str] = (),
        on_session_kept: Callable[[str], None] = lambda _: None,
        log_format: LogFormat = LogFormat.TEXT,
        silence_s: float = _SILENCE_S,
    ) -> None:
        # What is wrong with the files of the access ends the command, not the other process.
        make_client(address, access, client_id=client_name, clean=True)
        self._order = Order(
            host=address.host,
            port=address.port,
            tls=address.tls,
            ca_file=str(access.ca_file) if access.ca_file else None,
            username=access.username,
            password_file=str(access.password_file) if access.password_file else None,
            client_name=client_name,
            session=session.value,
            topics=list(topics),
            former_ids=list(former_ids),
            log_level=logging.getLogger("fleet").getEffectiveLevel(),
            alive_every_s=silence_s / _WORDS_IN_SILENCE,
            stream=stream,
            log_format=log_format,
        )
        self._program = program
        self._on_session_kept = on_session_kept
        self._silence_s = silence_s
        self._heard_at = time.monotonic()
        #: Why there is no connection, where the last try failed.
        self.problem: str | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._frames: Frames | None = None
        self._waiting: deque[Delivery | Subscribed] = deque()

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""
        words = [sys.executable, "-P", "-m", self._program]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        if self._process.stdout is not None:
            self._frames = Frames(self._process.stdout.fileno(), patience_s=self._silence_s)
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
        self._heard_at = time.monotonic()
        self._tell(self._order)

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting, at most `at_most`; waits `wait_s` for the first, then a moment more."""
        if not self._waiting:
            self._hear(wait_s)
        if self._waiting:
            until = time.monotonic() + _GATHER_S
            while len(self._waiting) < at_most and self._hear(max(0.0, until - time.monotonic())):
                pass
        count = min(at_most, len(self._waiting))
        return [self._waiting.popleft() for _ in range(count)]

    def publish(self, messages: Sequence[Ack | Desired]) -> None:
        """Have retained messages handed to the broker; skipped while the broker is away.

        After each `Subscribed` the collector publishes everything again from the store, so
        nothing needs to queue up here.
        """
        for start in range(0, len(messages), _SAID_AT_ONCE):
            part = messages[start : start + _SAID_AT_ONCE]
            self._tell(Say([(topic_of(one), encode_message(one)) for one in part]))

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        """Tell whoever waits for it that these are stored; nobody does at a plain broker."""
        tickets = [one.ticket for one in deliveries if one.ticket is not None]
        if tickets:
            self._tell(Settled(tickets))

    def close(self) -> None:
        """Disconnect; what was received before stays in `receive`."""
        process, frames = self._process, self._frames
        self._process = None
        if process is None or frames is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        deadline = time.monotonic() + _END_PATIENCE_S
        while not frames.ended and time.monotonic() < deadline:
            self._take(frames.read(wait_s=0.1))
        if not frames.ended:
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._frames = None

    def _hear(self, wait_s: float) -> bool:
        if self._frames is None:
            return False
        body = self._frames.read(wait_s=wait_s)
        self._take(body)
        if body is not None:
            self._heard_at = time.monotonic()
            return True
        if self._frames.ended:
            self._begin_anew()
        elif time.monotonic() - self._heard_at > self._silence_s:
            self._kill(f"not a word for {self._silence_s:g} s")
        return False

    def _take(self, body: bytes | None) -> None:
        if body is None:
            return
        heard = _HEARD.decode(body)
        if isinstance(heard, Trouble):
            self.problem = heard.problem
            return
        if isinstance(heard, SessionKept):
            # Another process that takes over from this one ends it, where it has another by then.
            self._order = msgspec.structs.replace(self._order, former_ids=[heard.client_id])
            self._on_session_kept(heard.client_id)
            return
        for item in heard.items:
            if item is None:
                self._waiting.append(Subscribed())
            else:
                topic, payload, retained, received_at, ticket = item
                self._waiting.append(
                    Delivery(
                        topic=topic,
                        payload=payload,
                        retained=retained,
                        received_at=received_at,
                        ticket=ticket,
                    )
                )

    def _begin_anew(self) -> None:
        if self._process is None:
            return
        code = self._process.wait()
        _log.error(
            "link process ended, starting another exit_code=%d reason=%s", code, self.problem
        )
        # Their tickets died with it: whoever waits to hear of them sends them again.
        self._waiting = deque(
            one for one in self._waiting if isinstance(one, Subscribed) or one.ticket is None
        )
        time.sleep(_RESTART_AFTER_S)
        try:
            self.open()
        except OSError as error:
            # Perhaps clients of the broker hold all files that this process may have. The ended
            # process stays in its place, so that the next call tries again.
            _log.error("link process does not start, trying again reason=%s", error)

    def _kill(self, problem: str) -> None:
        """End a process that hangs; `receive` notices, and starts another."""
        if self._process is not None:
            self.problem = problem
            self._process.kill()

    def _tell(self, message: msgspec.Struct) -> None:
        if self._process is not None and self._process.stdin is not None:
            pipe = self._process.stdin.fileno()
            try:
                write_all(pipe, frame(message), patience_s=self._silence_s)
            except BrokenPipeError:
                # It has ended: `receive` notices and starts another.
                pass
            except TimeoutError as error:
                self._kill(str(error))
