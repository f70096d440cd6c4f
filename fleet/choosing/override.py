"""What one part of a policy sets, and what several of them make together."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from fleet.choosing.demand import Demand, Evidential
from fleet.choosing.metric import Metric
from fleet.choosing.terms import Constraint, Objective, Terms


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What the policy itself, a site, a group or a device sets.

    No objectives means that it leaves them as they are.
    """

    constraints: tuple[Constraint, ...] = ()
    objectives: tuple[Objective, ...] = ()
    demands: tuple[Demand, ...] = ()


def terms_of(policy: str, layers: Sequence[Override]) -> Terms:
    """What all layers make together, the last being the most specific.

    A constraint replaces that of the same metric, a demand that of the same kind. One that
    asks nothing takes away what was asked before.
    """
    constraints: dict[Metric, Constraint] = {}
    objectives: tuple[Objective, ...] = ()
    demands: dict[Evidential, Demand] = {}
    for layer in layers:
        constraints |= {one.metric: one for one in layer.constraints}
        objectives = layer.objectives or objectives
        demands |= {one.kind: one for one in layer.demands}
    asked = tuple(one for one in demands.values() if not one.asks_nothing)
    return Terms(
        policy=policy,
        constraints=tuple(constraints.values()),
        objectives=objectives,
        demands=asked or msgspec.UNSET,
    )
