"""The journal over REST: stored bytes, only with their position added."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Query, Request, Response

from mes.queries.journal import PositionedEntry, journal_slice
from mes.rest.door import database_of, router
from mes.rest.values import LIMIT, Limit

journal = router("/journal", "journal")

POSITION_MAX = 2**63 - 1
After = Annotated[int, Query(ge=-1, le=POSITION_MAX, description="Position of the last entry seen; -1: none.")]


@journal.get("", response_model=dict[str, Any])
async def get_journal(request: Request, after: After = -1, limit: Limit = LIMIT) -> Response:
    """Entries above a position, in order without a hole. No entry ever appears behind a cursor."""
    async with database_of(request).reading() as connection:
        entries = await journal_slice(connection, after, limit)
    next_after = entries[-1].position if entries else after
    return entries_answer(entries, f'"next_after":{next_after}')


def entries_answer(entries: Sequence[PositionedEntry], rest: str) -> Response:
    """Entries as JSON without reading and writing them again, which might change a byte."""
    items = ",".join(entry.as_json for entry in entries)
    return Response(f'{{"items":[{items}],{rest}}}', media_type="application/json")
