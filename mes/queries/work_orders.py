"""Work orders with how far their units have come."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.domain.refusals import refuse
from mes.queries.pages import Page, after_id, cut


@dataclass(frozen=True, slots=True)
class WorkOrderSummary:
    """A work order. `units` counts its units per state; `version` is its ETag."""

    id: str
    number: str
    part: str
    revision: str
    quantity: int
    due: date | None
    priority: int
    customer_order: str | None
    state: str
    version: int
    created_at: datetime
    released_at: datetime | None
    ended_at: datetime | None
    units: dict[str, int]


@dataclass(frozen=True, slots=True)
class WorkOrderView(WorkOrderSummary):
    """A work order with its units' serials; before its release, those that the ERP gave."""

    serials: list[str]


_SUMMARY = """
    SELECT o.id::text, o.number, p.part, p.revision, o.quantity, o.due, o.priority, o.customer_order, o.state,
           o.version, o.created_at, o.released_at, o.ended_at,
           coalesce((SELECT jsonb_object_agg(state, units) FROM (
               SELECT u.state, count(*) AS units FROM unit u WHERE u.work_order_id = o.id GROUP BY u.state
           ) AS counted), '{}') AS units
"""
_ONE = text(
    _SUMMARY
    + """
         , coalesce(
               (SELECT array_agg(u.serial ORDER BY u.id) FROM unit u WHERE u.work_order_id = o.id),
               o.serials, '{}'
           ) AS serials
    FROM work_order o JOIN product p ON p.id = o.product_id
    WHERE o.site = :site AND o.number = :number
    """
)
_LIST = text(
    _SUMMARY
    + """
    FROM work_order o JOIN product p ON p.id = o.product_id
    WHERE o.site = :site
      AND (CAST(:state AS text) IS NULL OR o.state = :state)
      AND (CAST(:part AS text) IS NULL OR p.part = :part)
      AND (CAST(:customer_order AS text) IS NULL OR o.customer_order = :customer_order)
      AND (CAST(:after AS uuid) IS NULL OR o.id > :after)
    ORDER BY o.id LIMIT :limit
    """
)


async def work_order_view(connection: AsyncConnection, number: str, site: str) -> WorkOrderView:
    """One order. Refuses `unknown_order`."""
    row = (await connection.execute(_ONE, {"number": number, "site": site})).one_or_none()
    if row is None:
        raise refuse("unknown_order", number=number)
    return WorkOrderView(*_values(row))


async def list_work_orders(
    connection: AsyncConnection,
    site: str,
    *,
    state: str | None,
    part: str | None,
    customer_order: str | None,
    limit: int,
    cursor: str | None,
) -> Page[WorkOrderSummary]:
    """Orders, oldest first."""
    asked = {"site": site, "state": state, "part": part, "customer_order": customer_order}
    rows = await connection.execute(_LIST, {**asked, "after": after_id(cursor), "limit": limit + 1})
    return cut([WorkOrderSummary(*_values(row)) for row in rows], limit, lambda one: (one.id,))


def _values(row: Row[Any]) -> tuple[Any, ...]:
    return tuple(row)
