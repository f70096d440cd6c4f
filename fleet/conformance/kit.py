"""The whole kit: every check on one broker, one after the other."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from contract.access import Access
from contract.address import BrokerAddress
from fleet.conformance.check import Check
from fleet.conformance.delivering import DELIVERING
from fleet.conformance.features import FEATURES
from fleet.conformance.finding import Conformance, Finding, Status, Way
from fleet.conformance.keeping import KEEPING
from fleet.conformance.sharing import SHARING
from fleet.conformance.stand import Stand
from fleet.errors import BrokerAwayError

CHECKS: tuple[Check, ...] = (*DELIVERING, *KEEPING, *FEATURES, *SHARING)
#: Whether anybody can connect; the others make no sense without it.
CONNECTS = CHECKS[0]
_RUN_DIGITS = 8
_ALONE, _SHARED = "serve --broker URL", "serve --shared --broker URL"
_GOOD = {Status.PASSED, Status.PRESENT}


def examine(
    address: BrokerAddress,
    access: Access,
    *,
    timeout_s: float,
    on_check: Callable[[Check], None],
    checks: Sequence[Check] = CHECKS,
) -> Conformance:
    """Run checks against a broker, and leave nothing behind there.

    Args:
        address: of the broker.
        access: of an account that may use `edgewright-conform/#`.
        timeout_s: how long one thing is waited for.
        on_check: told before each check.
        checks: what to try; the first one is whether anybody can connect.

    Raises:
        BrokerAwayError: nobody can connect with MQTT 3.1.1.
    """
    run = uuid.uuid4().hex[:_RUN_DIGITS]
    found: dict[str, Finding] = {}
    basis: list[Finding] = []
    for check in checks:
        on_check(check)
        needed = [*basis, *(found[name] for name in check.needs)]
        missing = [one for one in needed if one.status not in _GOOD]
        if missing:
            found[check.name] = check.not_tried(missing)
            continue
        stand = Stand(address, access, name=f"{run}-{check.name}", timeout_s=timeout_s)
        found[check.name] = check.run(stand)
        if check is checks[0] and found[check.name].status is Status.FAILED:
            raise BrokerAwayError(found[check.name].got)
        if check.is_basis:
            basis.append(found[check.name])
    findings = list(found.values())
    conforms = all(one.status is not Status.FAILED for one in findings)
    return Conformance(
        broker=str(address),
        run=run,
        conforms=conforms,
        findings=findings,
        ways=_ways(findings) if set(found) >= {one.name for one in CHECKS} else [],
    )


def _ways(findings: Sequence[Finding]) -> list[Way]:
    failed = [one.check for one in findings if one.status is Status.FAILED]
    status = {one.check: one.status for one in findings}
    if Status.UNTRIED in status.values():
        why = f"{', '.join(failed)} failed, and what needs it was not tried"
        return [Way(command=command, possible=None, why=why) for command in (_ALONE, _SHARED)]
    sharing = ("shared", "shared-spread")
    missing = [name for name in sharing if status[name] is not Status.PRESENT]
    dying = next(one for one in findings if one.check == "shared-death")
    one = Way(
        command=_ALONE,
        possible=not failed,
        why=f"failed: {', '.join(failed)}" if failed else "everything required passed",
    )
    if failed or missing:
        why = f"failed: {', '.join(failed)}" if failed else f"absent: {', '.join(missing)}"
        several = Way(command=_SHARED, possible=False, why=why)
    else:
        held = "" if dying.status is Status.PRESENT else ", what a dying collector held comes again"
        several = Way(
            command=_SHARED,
            possible=True,
            why=f"results are spread over the collectors{held}",
        )
    return [one, several]
