"""What devices are and have measured, for predicting what others will measure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.figure_table import places_of_each
from fleet.choosing.figures import unpack_places
from fleet.choosing.policy import Policy
from fleet.choosing.terms import Terms
from fleet.predicting.record import DeviceRecord
from fleet.store.database import Database
from fleet.store.deciding import fresh_standings
from fleet.store.evidence import candidates_at
from fleet.store.question import Question, questions_of
from fleet.store.roster import Device, list_devices

#: Devices of one processor that are read beside those asked for: enough to learn from.
_READ_OF_A_KIND = 60


class Peers(msgspec.Struct, frozen=True, kw_only=True):
    """Devices with one bundle set: those asked about, and others to learn from."""

    records: tuple[DeviceRecord, ...]
    #: What holds for each device asked about, by its place in `records`.
    asked: dict[int, Terms]


def peers_of(
    database: Database, asked: Sequence[Device], policy: Policy, *, now: float
) -> list[Peers]:
    """Return the devices of each bundle set that one of `asked` has.

    Of each set and processor those are read that have measured most.

    Raises:
        StoreUnavailableError: the store cannot be read or written at the moment.
    """
    with database.reading() as connection:
        known = {one.id: one for one in list_devices(connection)}
    questions: dict[int, Question] = {}
    for standings in fresh_standings(database, known):
        with database.reading() as connection:
            found = questions_of(connection, standings, policy, now=now)
        questions |= {one.standing.device_id: one for one in found}
    wanted = {one.id for one in asked}
    peers = []
    for alike in _by_set(known.values()):
        if wanted.isdisjoint(one.id for one in alike):
            continue
        read = wanted | _best_measured(alike, questions)
        chosen = [one for one in alike if one.id in read]
        terms = {row: questions[one.id].terms for row, one in enumerate(chosen) if one.id in wanted}
        peers.append(Peers(records=_records(database, chosen, questions), asked=terms))
    return peers


def _by_set(devices: Iterable[Device]) -> list[list[Device]]:
    """Devices by bundle set, each in the given order."""
    found: dict[str | None, list[Device]] = {}
    for one in devices:
        found.setdefault(one.inventory.set_id if one.inventory else None, []).append(one)
    return list(found.values())


def _best_measured(devices: Iterable[Device], questions: dict[int, Question]) -> set[int]:
    kinds: dict[str | None, list[int]] = {}
    for one in devices:
        kinds.setdefault(one.inventory.cpu_model if one.inventory else None, []).append(one.id)
    chosen: set[int] = set()
    for kind in kinds.values():
        kind.sort(key=lambda number: -len(questions[number].standing.entries))
        chosen.update(kind[:_READ_OF_A_KIND])
    return chosen


def _records(
    database: Database, devices: Sequence[Device], questions: dict[int, Question]
) -> tuple[DeviceRecord, ...]:
    packed = places_of_each([questions[one.id].standing.entries for one in devices])
    places = [unpack_places(one) for one in packed]
    with database.reading() as connection:
        runs = candidates_at(connection, [place for own in places for place in own])
    measured: list[tuple[Candidate, ...]] = [
        tuple(runs[place][0] for place in own if place in runs) for own in places
    ]
    return tuple(
        DeviceRecord(
            site=one.site, device=one.device, inventory=one.inventory, candidates=candidates
        )
        for one, candidates in zip(devices, measured, strict=True)
    )
