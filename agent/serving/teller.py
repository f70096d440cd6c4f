"""Tells the agent that started a server what the server is at."""

from __future__ import annotations

from collections.abc import Callable

from agent.serving.report import ServingReport
from agent.serving.service import Health


class Teller:
    """Reports what a server is at, each news once.

    Args:
        on_report: hears it; None where nobody does.
    """

    def __init__(self, on_report: Callable[[ServingReport], None] | None) -> None:
        self._on_report = on_report
        self._told: ServingReport | None = None
        #: Where it listens; None until it does. Nothing is told before.
        self.address: str | None = None

    def tell(self, health: Health) -> None:
        """Report what is new."""
        report = ServingReport(
            address=self.address,
            generation=health.generation,
            served=health.served,
            problem=health.problem,
        )
        if self._on_report is None or self.address is None or report == self._told:
            return
        self._told = report
        self._on_report(report)
