"""What each device should run, and why."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from fleet.api.access import may_read
from fleet.api.deciding import recommend_each
from fleet.api.documents import answer, responses, schema_of
from fleet.api.paging import Asked, Page, answer_page, read_cursor, write_cursor
from fleet.api.routes.devices import Chosen, Name, Site
from fleet.api.service import Given
from fleet.choosing.policy import DEFAULT_POLICY
from fleet.reports.report import (
    ExplanationReport,
    RecommendationReport,
    report_explanation,
    report_recommendation,
)
from fleet.store.recommendation import find_decision
from fleet.store.roster import device_called, page_of_devices

router = APIRouter(tags=["recommendations"], dependencies=[Depends(may_read)])

PolicyName = Annotated[
    str, Query(alias="policy", max_length=200, description="By name, as /policies lists them.")
]


@router.get(
    "/recommendations",
    responses=responses(
        schema_of(Page[RecommendationReport]), "One of each device, by site and name.", 404
    ),
)
def list_recommendations(
    request: Request,
    service: Given,
    asked: Asked,
    which: Chosen,
    policy_name: PolicyName = DEFAULT_POLICY,
) -> Response:
    """Recommend a variant for every device, and say why."""
    after = read_cursor("recommendations", asked.after, tuple[str, str])
    policy = service.shelf.policy(policy_name)
    with service.database.reading() as connection:
        found = page_of_devices(connection, after=after, limit=asked.limit + 1, which=which)
    chosen = found[: asked.limit]
    rows = [report_recommendation(one) for one in recommend_each(service, chosen, policy)]
    following = None
    if len(found) > asked.limit:
        following = write_cursor("recommendations", (chosen[-1].site, chosen[-1].device))
    return answer_page(request, rows, following)


@router.get(
    "/devices/{site}/{device}/explain",
    responses=responses(schema_of(ExplanationReport), "From what was stored with it.", 404),
)
def explain(
    service: Given, site: Site, device: Name, policy_name: PolicyName = DEFAULT_POLICY
) -> Response:
    """Explain the recommendation for one device."""
    policy = service.shelf.policy(policy_name)
    with service.database.reading() as connection:
        chosen = device_called(connection, site, device)
    (found,) = recommend_each(service, [chosen], policy)
    return answer(report_explanation(found))


@router.get(
    "/decisions/{number}",
    responses=responses(schema_of(ExplanationReport), "Made once more from its runs.", 404),
)
def explain_decision(service: Given, number: Annotated[int, Path(ge=1, le=2**62)]) -> Response:
    """Explain any decision that was ever stored, by its `decision_id`."""
    with service.database.reading() as connection:
        found = find_decision(connection, number)
    return answer(report_explanation(found))
