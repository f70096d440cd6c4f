"""Recommendations: decide for each device, store every new decision with its inputs."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Incumbent, Outcome, Status
from fleet.choosing.policy import Policy
from fleet.choosing.selection import decide
from fleet.store.evidence import candidates_of, runs_of
from fleet.store.groups import groups_of
from fleet.store.roster import Device
from fleet.store.schema import decisions

_EVIDENCE = msgspec.json.Decoder(Evidence)
_OUTCOME = msgspec.json.Decoder(Outcome)


class Recommendation(msgspec.Struct, frozen=True, kw_only=True):
    """A stored decision; `decided_at` is when its evidence was first seen."""

    id: int
    decided_at: float
    evidence: Evidence
    outcome: Outcome

    @property
    def name(self) -> str:
        """`site/device`."""
        return f"{self.evidence.site}/{self.evidence.device}"

    @property
    def pick(self) -> Candidate | None:
        """The picked candidate with its figures."""
        return self.evidence.candidate(self.outcome.pick) if self.outcome.pick else None


def recommend(
    connection: sa.Connection,
    device: Device,
    policy: Policy,
    *,
    now: float,
) -> Recommendation:
    """Recommendation for one device; decided and stored anew only on new evidence."""
    evidence = gather(connection, device, policy)
    digest = hashlib.sha256(msgspec.json.encode(evidence)).hexdigest()
    last = latest_decision(connection, device, policy.name)
    if last is not None and last[0] == digest:
        return last[1]
    evidence = msgspec.structs.replace(
        evidence, incumbent=_incumbent(last[1]) if last is not None else None
    )
    outcome = decide(evidence)
    row = connection.execute(
        sa.insert(decisions).values(
            site=device.site,
            device=device.device,
            policy=policy.name,
            decided_at=now,
            evidence_sha256=digest,
            inputs=msgspec.json.encode(evidence).decode(),
            outcome=msgspec.json.encode(outcome).decode(),
        ),
    ).inserted_primary_key
    number = int(row[0]) if row is not None else 0
    return Recommendation(id=number, decided_at=now, evidence=evidence, outcome=outcome)


def gather(connection: sa.Connection, device: Device, policy: Policy) -> Evidence:
    """All that a choice for a device depends on, but for its present choice."""
    runs = runs_of(connection, device)
    return Evidence(
        site=device.site,
        device=device.device,
        terms=policy.terms_for(device.site, device.device, groups_of(connection, device)),
        candidates=candidates_of(runs),
        stale_runs=sum(not one.current for one in runs),
    )


def latest_decision(
    connection: sa.Connection,
    device: Device,
    policy_name: str,
) -> tuple[str, Recommendation] | None:
    """Digest of the evidence and the latest stored decision under a policy, or None."""
    row = connection.execute(
        sa.select(decisions)
        .where(
            decisions.c.site == device.site,
            decisions.c.device == device.device,
            decisions.c.policy == policy_name,
        )
        .order_by(decisions.c.id.desc())
        .limit(1),
    ).one_or_none()
    if row is None:
        return None
    return row.evidence_sha256, Recommendation(
        id=row.id,
        decided_at=row.decided_at,
        evidence=_EVIDENCE.decode(row.inputs),
        outcome=_OUTCOME.decode(row.outcome),
    )


def finding(recommendations: Sequence[Recommendation]) -> str | None:
    """Say whether devices get the same pick; None for fewer than two picks."""
    picks = Counter(
        one.outcome.pick.variant
        for one in recommendations
        if one.outcome.status is Status.CHOSEN and one.outcome.pick is not None
    )
    total = picks.total()
    if total < 2:  # noqa: PLR2004 - one device cannot agree with another
        return None
    shared = [(variant, count) for variant, count in picks.most_common() if count > 1]
    if not shared:
        return f"Each of the {total} devices gets another variant."
    if shared[0][1] == total:
        return f"All {total} devices get the same variant: {shared[0][0]}."
    return " ".join(
        f"{count} of {total} devices get the same variant: {variant}." for variant, count in shared
    )


def _incumbent(last: Recommendation) -> Incumbent | None:
    pick = last.pick
    if last.outcome.status is not Status.CHOSEN or pick is None or last.outcome.pick is None:
        return None
    return Incumbent(last.outcome.pick, pick.sha256)
