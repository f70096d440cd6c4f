"""What happens in the fleet, as server-sent events (WHATWG HTML, section 9.2)."""

from __future__ import annotations

import copy
import enum
import re
import time
from collections.abc import Collection, Iterator, Sequence

import msgspec
import sqlalchemy as sa

from contract.benchmark import RunStatus
from contract.messages import Presence
from fleet.api.watch import Watches
from fleet.errors import FleetError
from fleet.store.database import Database
from fleet.store.following import Following, highest
from fleet.store.history import Arrival, arrivals_numbered
from fleet.store.lately import decisions_numbered, desired_at, names_of
from fleet.store.quarantine import messages_numbered
from fleet.store.schema import decisions, quarantine, results

#: Rows of one kind that are read at once for one listener.
_AT_ONCE = 500
_POSITION = re.compile(r"r([0-9]{1,18})\.q([0-9]{1,18})\.d([0-9]{1,18})")


class Kind(enum.StrEnum):
    """What an event tells of."""

    RESULT = "result"
    QUARANTINED = "quarantined"
    RECOMMENDATION = "recommendation"
    PRESENCE = "presence"
    DESIRED = "desired"


class ResultStored(msgspec.Struct, frozen=True, kw_only=True):
    """A run was stored; its whole document is under the device's results."""

    site: str
    device: str
    epoch: str
    seq: int
    received_at: float
    run_id: str
    variant: str
    threads: int
    status: RunStatus
    p50_ms: float | None
    p95_ms: float | None


class PresenceChanged(msgspec.Struct, frozen=True, kw_only=True):
    """A device came or went."""

    site: str
    device: str
    presence: Presence


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """More changed than is kept for a slow listener: read the devices once more."""

    kind: Kind


class Position(msgspec.Struct, frozen=True):
    """How far a listener has heard: numbers of the newest result, refusal and decision."""

    results: int
    quarantined: int
    decided: int

    def __str__(self) -> str:
        """As the `id` of an event."""
        return f"r{self.results}.q{self.quarantined}.d{self.decided}"


def parse_position(text: str) -> Position | None:
    """The position that an event's `id` stands for; None where it is none of ours."""
    found = _POSITION.fullmatch(text)
    return None if found is None else Position(*map(int, found.groups()))


class Listener:
    """One listener's view of what happens: nothing is queued, it asks when it can take more.

    Results, refusals and decisions are rows that stay, so a listener that comes back with the
    id of the last event goes on there; some of them may be told twice, none is left out.
    Presence and desired states are told from now on.

    Args:
        database: the store.
        watches: what is compared for all listeners.
        kinds: which to tell.
        position: go on from there; None: from now on.
    """

    def __init__(
        self,
        database: Database,
        watches: Watches,
        kinds: Collection[Kind],
        position: Position | None,
    ) -> None:
        self._database = database
        self._watches = watches
        self._kinds = frozenset(kinds)
        with database.reading() as connection:
            start = position or _now(connection)
            self._rows = {
                Kind.RESULT: Following(results.c.id, start.results),
                Kind.QUARANTINED: Following(quarantine.c.id, start.quarantined),
                Kind.RECOMMENDATION: Following(decisions.c.id, start.decided),
            }
            now = time.monotonic()
            #: Of the watches of presence and of desired states.
            self._places = [
                watches.presence.begin(connection, now=now),
                watches.desired.begin(connection, now=now),
            ]

    @property
    def position(self) -> Position:
        """How far it has heard."""
        return Position(*(one.place for one in self._rows.values()))

    def heard(self) -> tuple[bytes, int]:
        """What happened since the last call, as the bytes of events, and how many.

        Raises:
            StoreUnavailableError: try again later; nothing is lost.
        """
        rows = {kind: copy.copy(one) for kind, one in self._rows.items()}
        places = list(self._places)
        try:
            return self._read()
        except FleetError:
            # What was read and not told is read once more.
            self._rows, self._places = rows, places
            raise

    def _read(self) -> tuple[bytes, int]:
        told: list[tuple[Kind | str, object]] = []
        with self._database.reading() as connection:
            now = time.monotonic()
            for kind in self._rows:
                if kind in self._kinds:
                    told += self._new_rows(connection, kind, now)
            if Kind.PRESENCE in self._kinds:
                told += self._new_presence(connection, now)
            if Kind.DESIRED in self._kinds:
                told += self._new_desired(connection, now)
        frames = [_frame(kind, document) for kind, document in told]
        # The id stands at the last one: who breaks off before it hears them all again.
        text = b"".join(frames[:-1]) + (
            b"id: %s\n" % str(self.position).encode() if frames else b""
        )
        return text + b"".join(frames[-1:]), len(frames)

    def _new_rows(
        self, connection: sa.Connection, kind: Kind, now: float
    ) -> list[tuple[Kind | str, object]]:
        numbers = self._rows[kind].added(connection, limit=_AT_ONCE, now=now)
        if not numbers:
            return []
        documents: Sequence[object] = ()
        match kind:
            case Kind.RESULT:
                documents = [_stored(one) for one in arrivals_numbered(connection, numbers)]
            case Kind.QUARANTINED:
                documents = messages_numbered(connection, numbers)
            case Kind.RECOMMENDATION:
                documents = decisions_numbered(connection, numbers)
        return [(kind, document) for document in documents]

    def _new_presence(
        self, connection: sa.Connection, now: float
    ) -> Iterator[tuple[Kind | str, object]]:
        self._places[0], changes, lost = self._watches.presence.since(
            connection, self._places[0], now=now
        )
        if lost:
            yield "missed", Missed(kind=Kind.PRESENCE)
        names = names_of(connection, [number for number, _ in changes]) if changes else {}
        for number, presence in changes:
            if number in names:
                site, device = names[number]
                yield (
                    Kind.PRESENCE,
                    PresenceChanged(site=site, device=device, presence=Presence(presence)),
                )

    def _new_desired(
        self, connection: sa.Connection, now: float
    ) -> Iterator[tuple[Kind | str, object]]:
        self._places[1], changes, lost = self._watches.desired.since(
            connection, self._places[1], now=now
        )
        if lost:
            yield "missed", Missed(kind=Kind.DESIRED)
        for (site, device), generation in changes:
            wanted = desired_at(connection, site, device, generation)
            if wanted is not None:
                yield Kind.DESIRED, wanted


def _now(connection: sa.Connection) -> Position:
    return Position(
        highest(connection, results.c.id),
        highest(connection, quarantine.c.id),
        highest(connection, decisions.c.id),
    )


def _stored(one: Arrival) -> ResultStored:
    return ResultStored(
        site=one.site,
        device=one.device,
        epoch=one.epoch,
        seq=one.seq,
        received_at=one.received_at,
        run_id=one.run.run_id,
        variant=one.run.variant,
        threads=one.run.threads,
        status=one.run.status,
        p50_ms=one.run.p50_ms,
        p95_ms=one.run.p95_ms,
    )


def _frame(kind: Kind | str, document: object) -> bytes:
    # One line of JSON: line breaks within it are escaped.
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), msgspec.json.encode(document))
