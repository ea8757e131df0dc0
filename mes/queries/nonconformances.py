"""Nonconformances: what went wrong, what was found and done about it, what was decided."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut


@dataclass(frozen=True, slots=True)
class NonconformanceView:
    """A nonconformance of a unit; `step` is null where no step failed. `ruling` is its disposition."""

    id: str
    unit: str
    part: str
    step: str | None
    state: str
    run: str | None
    reasons: list[dict[str, Any]]
    opened_at: datetime
    closed_at: datetime | None
    diagnosis: str | None
    repair: str | None
    ruling: str | None


_ALL = """
    SELECT n.id::text, u.serial, u.part, n.step, n.state, n.run_id::text, n.reasons, n.opened_at, n.closed_at,
           n.diagnosis, n.repair, n.ruling
    FROM nonconformance n JOIN unit u ON u.id = n.unit_id
"""
_ONE = text(_ALL + "WHERE n.id = :id")
_LIST = text(
    _ALL
    + """
    WHERE n.site = :site AND (CAST(:state AS text) IS NULL OR n.state = :state)
      AND (CAST(:unit AS text) IS NULL OR u.serial = :unit) AND (CAST(:part AS text) IS NULL OR u.part = :part)
      AND (CAST(:step AS text) IS NULL OR n.step = :step) AND (CAST(:after AS uuid) IS NULL OR n.id > :after)
    ORDER BY n.id LIMIT :limit
    """
)


async def nonconformance_view(connection: AsyncConnection, nonconformance_id: str) -> NonconformanceView:
    """One nonconformance. Refuses `unknown_nonconformance`."""
    row = (await connection.execute(_ONE, {"id": nonconformance_id})).one_or_none()
    if row is None:
        raise refuse("unknown_nonconformance", nonconformance=nonconformance_id)
    return _view(row)


async def list_nonconformances(
    connection: AsyncConnection,
    site: str,
    *,
    state: str | None,
    unit: str | None,
    part: str | None,
    step: str | None,
    limit: int,
    cursor: str | None,
) -> Page[NonconformanceView]:
    """Nonconformances by id."""
    asked = {"site": site, "state": state, "unit": unit, "part": part, "step": step, "after": after_id(cursor)}
    rows = await connection.execute(_LIST, {**asked, "limit": limit + 1})
    return cut([_view(row) for row in rows], limit, lambda one: (one.id,))


def _view(row: Any) -> NonconformanceView:
    return NonconformanceView(*(*row[:6], json.loads(row.reasons), *row[7:]))
