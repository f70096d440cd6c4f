"""What another policy would change, device by device; no decision is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import sqlalchemy as sa

from contract.messages import Desired
from fleet.choosing.build import Build
from fleet.choosing.decision import Evidence, Incumbent, Ref, Status
from fleet.choosing.demand import judged
from fleet.choosing.explanation import reason
from fleet.choosing.figure_table import builds_named, places_of_each
from fleet.choosing.figures import unpack_places
from fleet.choosing.many import Pick
from fleet.choosing.policy import Policy
from fleet.choosing.selection import decide
from fleet.store.catalogue import builds_of
from fleet.store.database import Database
from fleet.store.deciding import decide_questions, fresh_standings
from fleet.store.evidence import candidates_at
from fleet.store.question import Question, questions_of
from fleet.store.rollout import current_desired


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One device under another policy.

    `now` is what it is desired to run, None where nothing is; `then` is what would be
    recommended, within all limits, None where nothing would.
    """

    site: str
    device: str
    status: Status
    now: Ref | None
    then: Ref | None
    #: Another build of the same variant counts as well.
    changes: bool
    #: Why, for the first devices that do not simply stay; None for all others.
    reason: str | None = None


def what_if(
    database: Database,
    policy: Policy,
    device_ids: Sequence[int],
    *,
    now: float,
    told_at_most: int = 1000,
) -> list[Change]:
    """Decide for each device under `policy`, against what it is desired to run now.

    The present choice stays where the new policy's winner is not better beyond the tie band,
    as it would after the change of policy. Words take a thousand times longer than a choice:
    at most `told_at_most` devices get them.

    Raises:
        StoreUnavailableError: the store cannot be read or written at the moment.
    """
    with database.reading() as connection:
        wanted = {(one.site, one.device): one for one in current_desired(connection)}
    changes: list[Change] = []
    for standings in fresh_standings(database, device_ids):
        with database.reading() as connection:
            questions = questions_of(connection, standings, policy, now=now)
            new = _changes(connection, questions, wanted, now)
            told = sum(one.reason is not None for one in changes)
            changes.extend(
                _with_reasons(
                    connection, questions, new, wanted, at_most=told_at_most - told, now=now
                )
            )
    return changes


def _with_reasons(
    connection: sa.Connection,
    questions: Sequence[Question],
    changes: Sequence[Change],
    wanted: Mapping[tuple[str, str], Desired],
    *,
    at_most: int,
    now: float,
) -> list[Change]:
    """The changes, the first `at_most` of those that are shown with their reasons."""
    shown = [
        place for place, one in enumerate(changes) if one.changes or one.status is not Status.CHOSEN
    ][: max(0, at_most)]
    packed = places_of_each([questions[number].standing.entries for number in shown])
    places = [unpack_places(one) for one in packed]
    runs = candidates_at(connection, [place for mine in places for place in mine])
    found = list(changes)
    for number, mine in zip(shown, places, strict=True):
        one, terms = questions[number].standing, questions[number].terms
        evidence = Evidence(
            site=one.site,
            device=one.device,
            terms=terms,
            candidates=tuple(judged(runs[place][0], terms.asked, now=now) for place in mine),
            stale_runs=one.stale_runs,
            incumbent=_incumbent(wanted.get((one.site, one.device))),
        )
        words = reason(evidence, decide(evidence))
        found[number] = msgspec.structs.replace(changes[number], reason=words)
    return found


def _incumbent(desired: Desired | None) -> Incumbent | None:
    if desired is None:
        return None
    return Incumbent(Ref(desired.variant, desired.threads), desired.sha256)


def _changes(
    connection: sa.Connection,
    questions: Sequence[Question],
    wanted: Mapping[tuple[str, str], Desired],
    now: float,
) -> list[Change]:
    builds = builds_of(connection, builds_named([one.standing.entries for one in questions]))
    known = {(build.variant, build.sha256): number for number, build in builds.items()}
    desired = [wanted.get((one.standing.site, one.standing.device)) for one in questions]
    present = [
        Pick(Status.CHOSEN, known[one.variant, one.sha256], one.threads)
        if one is not None and (one.variant, one.sha256) in known
        else None
        for one in desired
    ]
    picks = decide_questions(connection, questions, present, now=now)
    return [
        _change(question, now, pick, builds)
        for question, now, pick in zip(questions, desired, picks, strict=True)
    ]


def _change(
    question: Question, now: Desired | None, pick: Pick, builds: Mapping[int, Build]
) -> Change:
    before = None if now is None else (now.variant, now.threads, now.sha256)
    after = None
    if pick.status is Status.CHOSEN and pick.build_id is not None and pick.threads is not None:
        build = builds[pick.build_id]
        after = build.variant, pick.threads, build.sha256
    return Change(
        site=question.standing.site,
        device=question.standing.device,
        status=pick.status,
        now=before and Ref(*before[:2]),
        then=after and Ref(*after[:2]),
        changes=after is not None and after != before,
    )
