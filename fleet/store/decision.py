"""Decisions as they are stored: by reference to the runs, which stay as they are for ever."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from fleet.choosing.decision import Status
from fleet.choosing.figure_table import places_of_each
from fleet.choosing.many import Pick
from fleet.store.dialect import (
    insert_or_replace,
    insert_rows,
    insert_unless_there,
    is_among,
    next_ids,
)
from fleet.store.question import Question, terms_text
from fleet.store.schema import choices, decisions, terms

_DECISION = (
    "id", "device_id", "policy", "decided_at", "digest", "terms_id", "places", "stale_runs",
    "present_build_id", "present_threads", "status", "build_id", "threads",
)  # fmt: skip
_CHOICE = ("device_id", "policy", "decision_id", "digest", "status", "build_id", "threads")


class Choice(msgspec.Struct, frozen=True, gc=False):
    """The latest decision for one device under one policy."""

    decision_id: int
    digest: str
    pick: Pick


class Decided(msgspec.Struct, frozen=True, gc=False):
    """A new decision: what was asked, what was chosen before, and what is now."""

    question: Question
    present: Pick | None
    pick: Pick


def choices_of(
    connection: sa.Connection, policy_name: str, device_ids: Collection[int]
) -> dict[int, Choice]:
    """Latest decision for each of these devices that has one."""
    rows = connection.execute(
        sa.select(
            choices.c.device_id,
            choices.c.decision_id,
            choices.c.digest,
            choices.c.status,
            choices.c.build_id,
            choices.c.threads,
        ).where(
            choices.c.policy == policy_name,
            is_among(connection, choices.c.device_id, device_ids),
        )
    ).all()
    return {
        device_id: Choice(decision_id, digest, Pick(Status(status), build_id, threads))
        for device_id, decision_id, digest, status, build_id, threads in rows
    }


def store_decisions(
    connection: sa.Connection, policy_name: str, decided: Sequence[Decided], *, now: float
) -> None:
    """Store new decisions, which are the devices' choices from now on."""
    if not decided:
        return
    numbers = _numbers_of_terms(connection, decided)
    ids = next_ids(connection, decisions, len(decided))
    places = places_of_each([one.question.standing.entries for one in decided])
    rows, latest = [], []
    for number, one, mine in zip(ids, decided, places, strict=True):
        standing, pick, present = one.question.standing, one.pick, one.present
        digest = one.question.digest
        rows.append(
            (
                number,
                standing.device_id,
                policy_name,
                now,
                digest,
                numbers[one.question.terms_digest],
                mine,
                standing.stale_runs,
                present and present.build_id,
                present and present.threads,
                pick.status.value,
                pick.build_id,
                pick.threads,
            )
        )
        latest.append(
            (
                standing.device_id,
                policy_name,
                number,
                digest,
                pick.status.value,
                pick.build_id,
                pick.threads,
            )
        )
    insert_rows(connection, decisions, _DECISION, rows)
    insert_or_replace(connection, choices, _CHOICE, latest)


def _numbers_of_terms(connection: sa.Connection, decided: Iterable[Decided]) -> Mapping[str, int]:
    texts = {one.question.terms_digest: one.question.terms for one in decided}
    insert_unless_there(
        connection,
        terms,
        [{"digest": digest, "terms": terms_text(one)} for digest, one in sorted(texts.items())],
    )
    rows = connection.execute(
        sa.select(terms.c.digest, terms.c.id).where(terms.c.digest.in_(texts))
    ).all()
    return {row.digest: row.id for row in rows}
