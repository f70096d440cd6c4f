"""What a server tells the agent that started it."""

from __future__ import annotations

import msgspec

from agent.activation import Pick
from contract.manifest import Count


class ServingReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a server is at: one JSON line on its standard output whenever that changes."""

    #: Where it listens; None where it does not.
    address: str | None = None
    #: The generation whose wish it follows; None where it speaks of no particular one.
    generation: Count | None = None
    #: What answers now; None while nothing does.
    served: Pick | None = None
    #: Why what is to be served is not, or will not be after a restart.
    problem: str | None = None
