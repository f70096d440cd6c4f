"""Recommendations for what a request asks for: the one place where the API has them decided."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.api.service import Service
from fleet.choosing.policy import Policy
from fleet.store.recommendation import Recommendation, recommend
from fleet.store.roster import Device


def recommend_each(
    service: Service, devices: Sequence[Device], policy: Policy
) -> list[Recommendation]:
    """Recommendation for each device, in their order; new ones are stored with their inputs."""
    numbers = [device.id for device in devices]
    return recommend(service.database, policy, numbers, now=service.clock())
