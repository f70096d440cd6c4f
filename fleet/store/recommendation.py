"""Recommendations: stored decisions with all that they rest on, ready to be told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from fleet.choosing.build import Build
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Incumbent, Outcome, Ref
from fleet.choosing.demand import judged
from fleet.choosing.figures import unpack_places
from fleet.choosing.policy import Policy
from fleet.choosing.selection import decide
from fleet.choosing.sufficiency import expired
from fleet.choosing.terms import Terms
from fleet.errors import ReplayError, UnknownDecisionError
from fleet.store.catalogue import builds_of
from fleet.store.database import Database
from fleet.store.deciding import choose
from fleet.store.decision import choices_of
from fleet.store.dialect import is_among
from fleet.store.evidence import candidates_at
from fleet.store.question import digest_of_question
from fleet.store.schema import decisions, devices, terms

_TERMS = msgspec.json.Decoder(Terms)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A stored decision; `decided_at` is when its evidence was first seen."""

    id: int
    device_id: int
    decided_at: float
    evidence: Evidence
    outcome: Outcome
    #: Why this does not follow from what is stored, where it does not.
    doubt: str | None = None

    @property
    def name(self) -> str:
        """`site/device`."""
        return f"{self.evidence.site}/{self.evidence.device}"

    @property
    def pick(self) -> Candidate | None:
        """The picked candidate with its figures."""
        return self.evidence.candidate(self.outcome.pick) if self.outcome.pick else None


def recommend(
    database: Database, policy: Policy, device_ids: Sequence[int], *, now: float
) -> list[Recommendation]:
    """Recommendation for each of these devices, in their order.

    Decided and stored anew only for devices whose evidence changed, and where a stored decision
    does not come out again: another version of Edgewright decided it.

    Raises:
        StoreUnavailableError: the store cannot be read or written at the moment.
    """
    choose(database, policy, device_ids, now=now)
    found = _latest(database, policy, device_ids)
    doubtful = [one.device_id for one in found.values() if one.doubt is not None]
    if doubtful:
        choose(database, policy, doubtful, now=now, anew=True)
        found |= _latest(database, policy, doubtful)
    return [found[device_id] for device_id in device_ids if device_id in found]


def find_decision(connection: sa.Connection, number: int) -> Recommendation:
    """The stored decision of a number, made once more from the evidence of its time.

    Raises:
        UnknownDecisionError: there is none.
        ReplayError: it does not come out as it was stored.
    """
    found = _replayed(connection, [number])
    if not found:
        message = (
            f"no decision {number}; 'edgewright-fleet recommendations --json' names the latest of "
            "each device as decision_id"
        )
        raise UnknownDecisionError(message)
    (one,) = found
    if one.doubt is not None:
        message = f"decision {number} for {one.name}: {one.doubt}"
        raise ReplayError(message)
    return one


def finding(picks: Iterable[str]) -> str | None:
    """Say whether devices get the same variant; None for fewer than two picks."""
    counted = Counter(picks)
    total = counted.total()
    if total < 2:  # noqa: PLR2004 - one device cannot agree with another
        return None
    shared = [(variant, count) for variant, count in counted.most_common() if count > 1]
    if not shared:
        return f"Each of the {total} devices gets another variant."
    if shared[0][1] == total:
        return f"All {total} devices get the same variant: {shared[0][0]}."
    return " ".join(
        f"{count} of {total} devices get the same variant: {variant}." for variant, count in shared
    )


def _latest(
    database: Database, policy: Policy, device_ids: Collection[int]
) -> dict[int, Recommendation]:
    with database.reading() as connection:
        known = choices_of(connection, policy.name, device_ids)
        found = _replayed(connection, [one.decision_id for one in known.values()])
    return {one.device_id: one for one in found}


def _replayed(connection: sa.Connection, numbers: Collection[int]) -> list[Recommendation]:
    """Decisions made once more from the runs that they name."""
    rows = (
        connection.execute(
            sa.select(
                decisions,
                devices.c.site,
                devices.c.device,
                terms.c.terms,
                terms.c.digest.label("terms_digest"),
            )
            .join(devices, devices.c.id == decisions.c.device_id)
            .join(terms, terms.c.id == decisions.c.terms_id)
            .where(is_among(connection, decisions.c.id, numbers))
        )
        .mappings()
        .all()
    )
    places = {row["id"]: unpack_places(row["places"]) for row in rows}
    runs = candidates_at(connection, [place for mine in places.values() for place in mine])
    named = {row[name] for row in rows for name in ("build_id", "present_build_id")} - {None}
    builds = builds_of(connection, named)
    found = []
    for row in rows:
        mine = [runs[place] for place in places[row["id"]] if place in runs]
        then, held = row["decided_at"], _TERMS.decode(row["terms"])
        evidence = Evidence(
            site=row["site"],
            device=row["device"],
            terms=held,
            candidates=tuple(judged(candidate, held.asked, now=then) for candidate, _ in mine),
            stale_runs=row["stale_runs"],
            incumbent=_incumbent(row["present_build_id"], row["present_threads"], builds),
        )
        outcome = decide(evidence)
        entries = b"".join(entry for _, entry in mine)
        digest = digest_of_question(
            row["terms_digest"],
            row["stale_runs"],
            entries,
            expired(entries, held.asked, now=then),
        )
        found.append(
            Recommendation(
                id=row["id"],
                device_id=row["device_id"],
                decided_at=then,
                evidence=evidence,
                outcome=outcome,
                doubt=_doubt(row, digest, outcome, builds),
            )
        )
    return found


def _incumbent(
    build_id: int | None, threads: int | None, builds: Mapping[int, Build]
) -> Incumbent | None:
    if build_id is None or threads is None:
        return None
    build = builds[build_id]
    return Incumbent(Ref(build.variant, threads), build.sha256)


def _doubt(
    row: Mapping[Any, Any], digest: str, outcome: Outcome, builds: Mapping[int, Build]
) -> str | None:
    if row["digest"] != digest:
        return "what it rests on is not in the store as it was"
    build_id = row["build_id"]
    stored = None if build_id is None else Ref(builds[build_id].variant, row["threads"])
    if (outcome.status, outcome.pick) == (row["status"], stored):
        return None
    return (
        f"stored as {row['status']}, {stored or 'nothing'}, it comes out as "
        f"{outcome.status.value}, {outcome.pick or 'nothing'}: another version of Edgewright "
        "decided it"
    )
