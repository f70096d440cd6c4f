"""Choosing for devices of a store: whoever's evidence changed is decided on anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa

from fleet.choosing.build import Build
from fleet.choosing.decision import Status
from fleet.choosing.figure_table import builds_named
from fleet.choosing.many import Pick, decide_many
from fleet.choosing.policy import Policy
from fleet.store.catalogue import builds_of
from fleet.store.database import Database
from fleet.store.decision import Choice, Decided, choices_of, store_decisions
from fleet.store.dialect import lock_devices
from fleet.store.question import Question, questions_of
from fleet.store.roster import device_ids
from fleet.store.schema import devices
from fleet.store.standing import Standing, bring_up_to_date, standings_of

#: Devices in one transaction: some 15 MB of figures, and a lock that is held for a moment.
_CHUNK = 4000


def choose(
    database: Database,
    policy: Policy,
    numbers: Collection[int],
    *,
    now: float,
    anew: bool = False,
) -> list[Decided]:
    """Decide for those of these devices whose evidence changed since they were decided on.

    With `anew`, for all of them.

    Nothing is written, and no lock is taken, where nothing changed. Deciding itself holds no
    lock: a device that somebody else decides on meanwhile is left to them.

    Raises:
        StoreUnavailableError: the store cannot be read or written at the moment.
    """
    decided = []
    for standings in fresh_standings(database, numbers):
        with database.reading() as connection:
            known = choices_of(connection, policy.name, [one.device_id for one in standings])
            questions = questions_of(connection, standings, policy, now=now)
            new = _decide(connection, questions, known, now=now, anew=anew)
        if new:
            with database.writing() as connection:
                decided.extend(_store(connection, policy, new, known, now))
    return decided


def choose_for_all(database: Database, policy: Policy, *, now: float) -> list[Decided]:
    """Decide for every device of the store whose evidence changed."""
    with database.reading() as connection:
        every = device_ids(connection)
    return choose(database, policy, every, now=now)


def fresh_standings(database: Database, numbers: Collection[int]) -> Iterator[list[Standing]]:
    """Standings of these devices, some thousands at a time, with all that is stored by now."""
    for chunk in _chunks(numbers):
        with database.reading() as connection:
            standings = standings_of(connection, chunk)
        behind = [one.device_id for one in standings if not one.is_fresh]
        if behind:
            with database.writing() as connection:
                bring_up_to_date(connection, behind)
            with database.reading() as connection:
                standings = standings_of(connection, chunk)
        yield standings


def decide_questions(
    connection: sa.Connection,
    questions: Sequence[Question],
    present: Sequence[Pick | None],
    *,
    now: float,
) -> list[Pick]:
    """The pick of each question, by what was chosen before."""
    builds = _builds_in(connection, questions, present)
    picks: dict[int, Pick] = {}
    alike: dict[str, list[int]] = {}
    for place, one in enumerate(questions):
        alike.setdefault(one.terms_digest, []).append(place)
    for places in alike.values():
        found = decide_many(
            [questions[place].standing.entries for place in places],
            [present[place] for place in places],
            builds,
            questions[places[0]].terms,
            now=now,
        )
        picks.update(zip(places, found, strict=True))
    return [picks[place] for place in range(len(questions))]


def _decide(
    connection: sa.Connection,
    questions: Sequence[Question],
    known: Mapping[int, Choice],
    *,
    now: float,
    anew: bool,
) -> list[Decided]:
    """New decisions on the questions whose choice does not rest on all that is known by now."""
    open_ = []
    for one in questions:
        choice = known.get(one.standing.device_id)
        if anew or choice is None or choice.digest != one.digest:
            open_.append(one)
    present = [_present(known.get(one.standing.device_id)) for one in open_]
    picks = decide_questions(connection, open_, present, now=now)
    return [Decided(*one) for one in zip(open_, present, picks, strict=True)]


def _store(
    connection: sa.Connection,
    policy: Policy,
    new: Sequence[Decided],
    known: Mapping[int, Choice],
    now: float,
) -> list[Decided]:
    """Store decisions on devices that nobody else decided on since `known` was read."""
    ids = [one.question.standing.device_id for one in new]
    lock_devices(connection, devices, ids)
    latest = choices_of(connection, policy.name, ids)
    mine = [
        one for one, number in zip(new, ids, strict=True) if latest.get(number) == known.get(number)
    ]
    store_decisions(connection, policy.name, mine, now=now)
    return mine


def _present(choice: Choice | None) -> Pick | None:
    """What stays unless something beats it: a choice within the limits."""
    return choice.pick if choice is not None and choice.pick.status is Status.CHOSEN else None


def _builds_in(
    connection: sa.Connection, questions: Iterable[Question], present: Iterable[Pick | None]
) -> dict[int, Build]:
    numbers = builds_named(one.standing.entries for one in questions)
    numbers |= {one.build_id for one in present if one is not None and one.build_id is not None}
    return builds_of(connection, numbers)


def _chunks(numbers: Collection[int]) -> Iterator[list[int]]:
    ordered = sorted(numbers)
    for start in range(0, len(ordered), _CHUNK):
        yield ordered[start : start + _CHUNK]
