"""Units: what they are, how far they have come, and where they are."""

from dataclasses import dataclass
from datetime import datetime

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.products import products
from mes.domain.product import Definition
from mes.domain.route import route_of
from mes.domain.unit import Progress
from mes.queries.pages import Page, after_id, cut


@dataclass(frozen=True, slots=True)
class UnitSummary:
    """A unit in a list. `work_order` is null for a bought one."""

    id: str
    serial: str
    part: str
    maker: str
    revision: str | None
    state: str
    work_order: str | None
    created_at: datetime
    received_at: datetime | None


@dataclass(frozen=True, slots=True)
class IdentifierView:
    """Something printed on the unit, since when and until when (null: still)."""

    kind: str
    value: str
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step of the route. `status`: waiting, open, passed or failed; `may_start`: all before it have passed."""

    step: str
    status: str
    attempts: int
    may_start: bool


@dataclass(frozen=True, slots=True)
class PlaceView:
    """Where a unit is installed."""

    part: str
    serial: str
    position: str
    since: datetime


@dataclass(frozen=True, slots=True)
class UnitView(UnitSummary):
    """A unit with its route's progress. `trace_id` names its trace; `facts_pending` counts facts not yet applied."""

    name: str | None
    family: str | None
    customer_order: str | None
    trace_id: str
    identifiers: list[IdentifierView]
    steps: list[StepView]
    installed_in: PlaceView | None
    nonconformances: list[str]
    holds: list[str]
    facts_pending: int


_SUMMARY = """
    SELECT u.id::text, u.serial, u.part, u.maker, p.revision, u.state, o.number, u.created_at, u.received_at
"""
_JOINS = """
    FROM unit u LEFT JOIN product p ON p.id = u.product_id LEFT JOIN work_order o ON o.id = u.work_order_id
"""
_SOUGHT = """
    WHERE u.site = :site AND (CAST(:part AS text) IS NULL OR u.part = :part)
      AND (CAST(:state AS text) IS NULL OR u.state = :state)
      AND (CAST(:order AS text) IS NULL OR o.number = :order)
      AND (CAST(:serial AS text) IS NULL OR u.id IN (
          SELECT i.unit_id FROM identifier i
          WHERE i.kind = 'serial' AND i.value >= :serial AND i.value < :beyond AND upper_inf(i.during)))
"""
_LIST = text(
    _SUMMARY + _JOINS + _SOUGHT + "AND (CAST(:after AS uuid) IS NULL OR u.id > :after) ORDER BY u.id LIMIT :limit"
)
_NEWEST = text(
    _SUMMARY + _JOINS + _SOUGHT + "AND (CAST(:after AS uuid) IS NULL OR u.id < :after) ORDER BY u.id DESC LIMIT :limit"
)
_ONE = text(
    _SUMMARY
    + """
         , p.name, p.family, o.customer_order, u.progress, u.product_id::text,
           (SELECT jsonb_agg(jsonb_build_object('kind', i.kind, 'value', i.value,
                'since', CASE WHEN lower_inf(i.during) OR lower(i.during) = '-infinity' THEN NULL
                              ELSE lower(i.during) END,
                'until', upper(i.during)) ORDER BY lower(i.during), i.kind, i.value)
            FROM identifier i WHERE i.unit_id = u.id) AS identifiers,
           (SELECT jsonb_build_object('part', t.part, 'serial', t.serial, 'position', s.position,
                                      'since', lower(s.during))
            FROM installation s JOIN unit t ON t.id = s.parent_id
            WHERE s.child_id = u.id AND s.superseded_at IS NULL AND upper_inf(s.during)) AS installed_in,
           (SELECT array_agg(n.id::text ORDER BY n.id) FROM nonconformance n
            WHERE n.unit_id = u.id AND n.state <> 'closed') AS nonconformances,
           (SELECT array_agg(h.id::text ORDER BY h.id) FROM hold h
            WHERE upper_inf(h.during) AND (h.scope, h.key) IN (
                ('unit', u.id::text), ('part', u.part), ('work_order', o.number))) AS holds,
           (SELECT count(*) FROM message m
            WHERE m.fate = 'pending' AND position(convert_to(to_json(u.serial)::text, 'UTF8') IN m.body) > 0
           ) AS facts_pending
    """
    + _JOINS
    + "WHERE u.id = :id"
)


async def list_units(
    connection: AsyncConnection,
    site: str,
    *,
    part: str | None,
    state: str | None,
    order: str | None,
    serial: str | None,
    limit: int,
    cursor: str | None,
    newest_first: bool = False,
) -> Page[UnitSummary]:
    """Units in the order in which they became known, or from the newest back; `serial` is the beginning of one."""
    asked = {"site": site, "part": part, "state": state, "order": order, "serial": serial}
    asked["beyond"] = serial + "\x7f" if serial is not None else None
    rows = await connection.execute(
        _NEWEST if newest_first else _LIST, {**asked, "after": after_id(cursor), "limit": limit + 1}
    )
    return cut([UnitSummary(*row) for row in rows], limit, lambda one: (one.id,))


async def unit_view(connection: AsyncConnection, unit_id: str) -> UnitView:
    """One unit, which exists."""
    row = (await connection.execute(_ONE, {"id": unit_id})).one()
    definition = None
    if row.product_id is not None:
        definition = (await products(connection, [row.product_id]))[row.product_id].definition
    progress = Progress.from_plain(msgspec.json.decode(row.progress))
    told = (
        row.name,
        row.family,
        row.customer_order,
        unit_id.replace("-", ""),
        msgspec.convert(row.identifiers or [], list[IdentifierView]),
        _steps(progress, definition),
        msgspec.convert(row.installed_in, PlaceView | None),
        row.nonconformances or [],
        row.holds or [],
        row.facts_pending,
    )
    return UnitView(*(*row[:9], *told))


def _steps(progress: Progress, definition: Definition | None) -> list[StepView]:
    route = route_of(definition)
    passed = {step for step in route.steps if progress.result(step) == "passed"}
    next_steps = route.next(passed)
    return [
        StepView(
            step,
            progress.status(step),
            progress.steps[step].attempts if step in progress.steps else 0,
            step in next_steps,
        )
        for step in route.steps
    ]
