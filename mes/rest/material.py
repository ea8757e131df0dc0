"""Lots at stations over REST."""

from typing import Annotated

from fastapi import Query, Request

from mes.queries.material import LoadingView, Where, list_loadings
from mes.queries.pages import Page
from mes.rest.door import database_of, now, router, settings_of
from mes.rest.values import LIMIT, Cursor, Limit, Moment, Name

material = router("/material", "materials")

AsOf = Annotated[Moment | None, Query(description="What was loaded then; absent: what is loaded now.")]
Ever = Annotated[bool, Query(description="What was loaded at any time.")]


@material.get("")
async def get_list(
    request: Request,
    station: Name | None = None,
    lot: Name | None = None,
    part: Name | None = None,
    as_of: AsOf = None,
    ever: Ever = False,
    limit: Limit = LIMIT,
    cursor: Cursor = None,
) -> Page[LoadingView]:
    """Lots loaded at stations, in the order in which they became known."""
    moment = None if ever else as_of or now()
    async with database_of(request).reading() as connection:
        site, where = settings_of(request).site, Where(station, lot, part)
        return await list_loadings(connection, site, where, moment=moment, limit=limit, cursor=cursor)
