"""What is wrong in a policy file, or which terms it sets for whom."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from fleet.choosing.mistake import Mistake, mistake_at
from fleet.choosing.policy import Policy, policy_of
from fleet.choosing.policy_document import Named, PolicyDocument
from fleet.choosing.terms import Terms


class TermsReport(msgspec.Struct, frozen=True, kw_only=True):
    """The terms for one part of the fleet: `everywhere`, `site lab`, `device lab/box`."""

    who: str
    constraints: list[str]
    objectives: list[str]
    evidence: list[str]


class PolicyCheck(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `policies check`; `terms` are empty where there are mistakes."""

    source: str
    policy: str | None
    mistakes: list[Mistake]
    #: Names in the policy that no device in the store goes by.
    warnings: list[Mistake]
    terms: list[TermsReport]


def check_policy(
    document: PolicyDocument, *, source: str, known: Mapping[str, Iterable[str]]
) -> PolicyCheck:
    """Check a document against the names that the fleet knows.

    `known` has the names of each kind, `site`, `group` and `device`; kinds that it leaves out
    are not checked.
    """
    if document.mistakes:
        return PolicyCheck(
            source=source, policy=None, mistakes=document.mistakes, warnings=[], terms=[]
        )
    policy = policy_of(document)
    return PolicyCheck(
        source=source,
        policy=policy.name,
        mistakes=[],
        warnings=[
            _warning(one, source, sorted(known[one.kind]))
            for one in document.named
            if one.kind in known and one.name not in set(known[one.kind])
        ],
        terms=[
            _terms("everywhere", policy.terms_for("", "", [])),
            *(_terms(f"{one.kind} {one.name}", _terms_of(policy, one)) for one in document.named),
        ],
    )


def check_lines(check: PolicyCheck) -> Iterator[str]:
    """The check for people: mistakes, or warnings and then the terms."""
    if check.mistakes:
        yield from map(str, check.mistakes)
        return
    yield f"{check.source}: policy '{check.policy}' is in order"
    for warning in check.warnings:
        yield f"warning: {warning}"
    for one in check.terms:
        yield f"{one.who}:"
        yield f"  limits: {', '.join(one.constraints) or 'none'}"
        yield f"  objectives: {', '.join(one.objectives)}"
        if one.evidence:
            yield f"  evidence: {', '.join(one.evidence)}"


def _terms_of(policy: Policy, named: Named) -> Terms:
    """Terms for a device that the policy names in this way alone."""
    if named.kind == "group":
        return policy.terms_for("", "", [named.name])
    site, _, device = named.name.partition("/")
    return policy.terms_for(site, device, [])


def _terms(who: str, terms: Terms) -> TermsReport:
    return TermsReport(
        who=who,
        constraints=[str(one) for one in terms.constraints],
        objectives=[str(one) for one in terms.objectives],
        evidence=[str(one) for one in terms.asked],
    )


def _warning(named: Named, source: str, known: list[str]) -> Mistake:
    near = difflib.get_close_matches(named.name, known, n=3)
    return mistake_at(
        source,
        named.place,
        named.path,
        problem=f"no device in the store is {_relation(named)}",
        advice=f"did you mean {' or '.join(near)}?"
        if near
        else "the terms will hold as soon as one is",
    )


def _relation(named: Named) -> str:
    match named.kind:
        case "site":
            return f"at site '{named.name}'"
        case "group":
            return f"in group '{named.name}'"
        case _:
            return f"called '{named.name}'"
