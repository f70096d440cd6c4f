"""What there is to decide for each device: its current runs and the terms that hold for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec
import sqlalchemy as sa

from fleet.choosing.policy import Policy
from fleet.choosing.sufficiency import expired
from fleet.choosing.terms import Terms
from fleet.store.dialect import is_among
from fleet.store.schema import memberships
from fleet.store.standing import Standing

_NO_GROUPS: frozenset[str] = frozenset()


class Question(msgspec.Struct, frozen=True, gc=False):
    """All that a choice for one device depends on, but for its present choice."""

    standing: Standing
    terms: Terms
    #: Of the terms, as they are stored.
    terms_digest: str
    #: Changes with anything that could change the answer.
    digest: str


def questions_of(
    connection: sa.Connection, standings: Sequence[Standing], policy: Policy, *, now: float
) -> list[Question]:
    """The question of each device under a policy as it stands `now`, in the same order."""
    given = _groups_given(connection, [one.device_id for one in standings], policy)
    # Most devices share their terms with all others that the policy does not name.
    known: dict[tuple[str | None, frozenset[str], str | None], tuple[Terms, str]] = {}
    questions = []
    for one in standings:
        groups = _NO_GROUPS
        if policy.groups:
            told = {*one.told_groups, *given.get(one.device_id, ())}
            groups = frozenset(policy.groups.keys() & told)
        name = f"{one.site}/{one.device}" if policy.devices else None
        key = (
            one.site if one.site in policy.sites else None,
            groups,
            name if name in policy.devices else None,
        )
        found = known.get(key)
        if found is None:
            terms = policy.terms_for(one.site, one.device, groups)
            found = known[key] = terms, digest_of_terms(terms)
        terms, terms_digest = found
        too_old = expired(one.entries, terms.asked, now=now)
        digest = digest_of_question(terms_digest, one.stale_runs, one.entries, too_old)
        questions.append(Question(one, terms, terms_digest, digest))
    return questions


def digest_of_question(terms_digest: str, stale_runs: int, entries: bytes, too_old: bytes) -> str:
    """Digest of all that is decided on.

    With `too_old` (see `sufficiency.expired`) it changes when a run passes the age that is asked
    for, and not with the time itself.
    """
    return hashlib.sha256(
        b"%b %d %b%b" % (terms_digest.encode(), stale_runs, entries, too_old)
    ).hexdigest()


def terms_text(terms: Terms) -> str:
    """Terms as they are stored."""
    return msgspec.json.encode(terms).decode()


def digest_of_terms(terms: Terms) -> str:
    """Digest of terms as they are stored."""
    return hashlib.sha256(terms_text(terms).encode()).hexdigest()


def _groups_given(
    connection: sa.Connection, device_ids: Iterable[int], policy: Policy
) -> dict[int, list[str]]:
    """Groups of the policy that the operator put devices into."""
    if not policy.groups:
        return {}
    rows = connection.execute(
        sa.select(memberships.c.device_id, memberships.c.name).where(
            is_among(connection, memberships.c.device_id, device_ids),
            memberships.c.name.in_(list(policy.groups)),
        )
    )
    found: dict[int, list[str]] = {}
    for device_id, name in rows:
        found.setdefault(device_id, []).append(name)
    return found
