"""What is stored and closed of each device's outboxes, within one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import sqlalchemy as sa

from contract.messages import Ack, EpochAck, Rejection, StoredPlace
from fleet.delivery import Place
from fleet.schema import disputes, epochs, rejections, results
from fleet.watermark import Watermark

#: An ack is one retained message: it names the newest outboxes and rejections only.
_ACKED_EPOCHS = 8
_ACKED_REJECTIONS = 50
_ACKED_DISPUTES = 16
_REASON_CHARACTERS = 160

_ISLANDS = msgspec.json.Decoder(tuple[tuple[int, int], ...])

_Key = tuple[str, str, str]


class Outboxes:
    """Watermarks of the outboxes that one transaction touches, read once and written once."""

    def __init__(self, connection: sa.Connection, now: float) -> None:
        self._connection = connection
        self._now = now
        self._known: dict[_Key, Watermark] = {}
        self._changed: set[_Key] = set()

    def is_closed(self, place: Place) -> bool:
        """Whether this place is stored, rejected or given up."""
        return self._watermark(_key(place)).is_closed(place.seq)

    def close(self, place: Place, last_seq: int | None = None) -> None:
        """Close `place`, or the range from it to `last_seq`."""
        key = _key(place)
        self._known[key] = self._watermark(key).close(place.seq, last_seq or place.seq)
        self._changed.add(key)

    def reject(self, place: Place, reason: str) -> None:
        """Close a place for good without storing it, unless it is closed already."""
        if self.is_closed(place):
            return
        self._connection.execute(
            sa.insert(rejections).values(
                site=place.site,
                device=place.device,
                epoch=place.epoch,
                seq=place.seq,
                reason=reason[:_REASON_CHARACTERS],
                rejected_at=self._now,
            ),
        )
        self.close(place)

    def unreject(self, place: Place) -> None:
        """Forget a rejection: the place came again, in order this time, and is stored."""
        self._connection.execute(
            sa.delete(rejections).where(
                rejections.c.site == place.site,
                rejections.c.device == place.device,
                rejections.c.epoch == place.epoch,
                rejections.c.seq == place.seq,
            ),
        )

    def dispute(self, place: Place) -> None:
        """Note that other bytes came for a place than are stored in it."""
        this = msgspec.structs.asdict(place)
        known = self._connection.execute(
            sa.update(disputes)
            .where(*(disputes.c[name] == value for name, value in this.items()))
            .values(last_at=self._now),
        )
        if not known.rowcount:
            self._connection.execute(sa.insert(disputes).values(**this, last_at=self._now))

    def save(self) -> None:
        """Write the watermarks that changed."""
        for site, device, epoch in sorted(self._changed):
            watermark = self._known[site, device, epoch]
            self._connection.execute(
                sa.update(epochs)
                .where(epochs.c.site == site, epochs.c.device == device, epochs.c.epoch == epoch)
                .values(
                    through=watermark.through,
                    islands=msgspec.json.encode(watermark.islands).decode(),
                ),
            )

    def _watermark(self, key: _Key) -> Watermark:
        if key not in self._known:
            self._known[key] = self._read(key)
        return self._known[key]

    def _read(self, key: _Key) -> Watermark:
        site, device, epoch = key
        row = self._connection.execute(
            sa.select(epochs.c.through, epochs.c.islands).where(
                epochs.c.site == site,
                epochs.c.device == device,
                epochs.c.epoch == epoch,
            ),
        ).one_or_none()
        if row is not None:
            return Watermark(row.through, _ISLANDS.decode(row.islands))
        self._connection.execute(
            sa.insert(epochs).values(
                site=site,
                device=device,
                epoch=epoch,
                through=0,
                islands="[]",
                first_seen_at=self._now,
            ),
        )
        return Watermark()


def acks_of(connection: sa.Connection, devices: Iterable[tuple[str, str]], at: float) -> list[Ack]:
    """What is safe of each of these devices' outboxes, ready to publish."""
    return [_ack_of(connection, site, device, at) for site, device in sorted(devices)]


def watermarks_of(
    connection: sa.Connection,
    site: str,
    device: str,
) -> dict[str, Watermark]:
    """Watermark of each outbox of a device, newest outbox first."""
    rows = connection.execute(
        sa.select(epochs.c.epoch, epochs.c.through, epochs.c.islands)
        .where(epochs.c.site == site, epochs.c.device == device)
        .order_by(epochs.c.id.desc()),
    )
    return {row.epoch: Watermark(row.through, _ISLANDS.decode(row.islands)) for row in rows}


def _ack_of(connection: sa.Connection, site: str, device: str, at: float) -> Ack:
    marks = watermarks_of(connection, site, device)
    newest = dict(list(marks.items())[:_ACKED_EPOCHS])
    refused = connection.execute(
        sa.select(rejections.c.epoch, rejections.c.seq, rejections.c.reason)
        .where(rejections.c.site == site, rejections.c.device == device)
        .order_by(rejections.c.rejected_at.desc(), rejections.c.seq.desc())
        .limit(_ACKED_REJECTIONS),
    ).all()
    comparable = _comparable(connection, site, device, newest)
    return Ack(
        site=site,
        device=device,
        at=at,
        epochs={
            epoch: EpochAck(
                through=mark.through,
                stored=comparable.get(epoch, []),
                rejected=sorted(
                    (
                        Rejection(seq=row.seq, reason=row.reason)
                        for row in refused
                        if row.epoch == epoch
                    ),
                    key=lambda rejection: rejection.seq,
                ),
            )
            for epoch, mark in newest.items()
        },
    )


def _comparable(
    connection: sa.Connection,
    site: str,
    device: str,
    marks: Mapping[str, Watermark],
) -> dict[str, list[StoredPlace]]:
    """What is stored in the places that a device should compare with its own, by epoch."""
    this = sa.and_(results.c.site == site, results.c.device == device)
    disputed = connection.execute(
        sa.select(disputes.c.epoch, disputes.c.seq)
        .where(disputes.c.site == site, disputes.c.device == device)
        .order_by(disputes.c.last_at.desc(), disputes.c.seq.desc())
        .limit(_ACKED_DISPUTES),
    )
    places = {(row.epoch, row.seq) for row in disputed if row.epoch in marks}
    places |= {(epoch, mark.through) for epoch, mark in marks.items()}
    rows = connection.execute(
        sa.select(results.c.epoch, results.c.seq, results.c.body_sha256)
        .where(this, results.c.epoch.in_(marks), results.c.seq.in_({seq for _, seq in places}))
        .order_by(results.c.seq),
    )
    found: dict[str, list[StoredPlace]] = {}
    for row in rows:
        if (row.epoch, row.seq) in places:
            place = StoredPlace(seq=row.seq, sha256=row.body_sha256)
            found.setdefault(row.epoch, []).append(place)
    return found


def _key(place: Place) -> _Key:
    return place.site, place.device, place.epoch
