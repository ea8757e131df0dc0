"""Holds, in force and released."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut


@dataclass(frozen=True, slots=True)
class HoldView:
    """A hold; `key` as it was asked for. It is in force while `released_at` is null."""

    id: str
    scope: str
    key: str
    reason: str
    placed_at: datetime
    placed_by: str
    released_at: datetime | None
    released_by: str | None


_HOLDS = """
    SELECT id::text, scope, shown_key, reason, lower(during), placed_by, upper(during), released_by FROM hold
"""
_ONE = text(_HOLDS + "WHERE site = :site AND id = :id")
_LIST = text(
    _HOLDS
    + """
    WHERE site = :site AND (CAST(:scope AS text) IS NULL OR scope = :scope)
      AND (CAST(:key AS text) IS NULL OR shown_key = :key)
      AND (CAST(:in_force AS boolean) IS NULL OR upper_inf(during) = :in_force)
      AND (CAST(:after AS uuid) IS NULL OR id > :after)
    ORDER BY id LIMIT :limit
    """
)


async def hold_view(connection: AsyncConnection, hold_id: str, site: str) -> HoldView:
    """One hold. Refuses `unknown_hold`."""
    row = (await connection.execute(_ONE, {"id": hold_id, "site": site})).one_or_none()
    if row is None:
        raise refuse("unknown_hold", hold=hold_id)
    return HoldView(*row)


async def list_holds(
    connection: AsyncConnection,
    site: str,
    *,
    scope: str | None,
    key: str | None,
    in_force: bool | None,
    limit: int,
    cursor: str | None,
) -> Page[HoldView]:
    """Holds, oldest first."""
    asked = {"site": site, "scope": scope, "key": key, "in_force": in_force, "after": after_id(cursor)}
    rows = await connection.execute(_LIST, {**asked, "limit": limit + 1})
    return cut([HoldView(*row) for row in rows], limit, lambda one: (one.id,))
