"""What was refused."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response

from fleet.api.access import may_read
from fleet.api.documents import responses, schema_of
from fleet.api.paging import Asked, Page, answer_page, read_cursor, write_cursor
from fleet.api.service import Given
from fleet.store.quarantine import Quarantined, page_of_quarantine

router = APIRouter(tags=["quarantine"], dependencies=[Depends(may_read)])


@router.get(
    "/quarantine", responses=responses(schema_of(Page[Quarantined]), "Highest number first.")
)
def list_quarantine(request: Request, service: Given, asked: Asked) -> Response:
    """Messages that were refused, and why."""
    before = read_cursor("quarantine", asked.after, int)
    with service.database.reading() as connection:
        found = page_of_quarantine(connection, before=before, limit=asked.limit + 1)
    following = None
    if len(found) > asked.limit:
        following = write_cursor("quarantine", found[asked.limit - 1].number)
    return answer_page(request, found[: asked.limit], following)
