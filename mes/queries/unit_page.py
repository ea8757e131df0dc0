"""All that one unit's page tells, in one snapshot and a fixed number of statements, however much is in the unit."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.products import products
from mes.domain.product import Definition
from mes.domain.scanning import PartKnown
from mes.queries.attempts import AttemptView, attempts
from mes.queries.bench import parts_known
from mes.queries.genealogy import Genealogy, Node, genealogy
from mes.queries.impediments import Impediments, impediments
from mes.queries.journal import PositionedEntry, newest_entries_of_subject, people_in
from mes.queries.operators import operator_names
from mes.queries.pages import Page
from mes.queries.runs import RunView, newest_runs
from mes.queries.samples import Asked, Series, series
from mes.queries.traces import TraceView, trace_of
from mes.queries.units import UnitView, unit_view
from mes.queries.where_used import Sought, Use, When, where_used

RUNS_MAX = 30
"""Newest runs that are shown with their values; older ones are on a page of their own."""
ENTRIES_MAX = 25
SERIES_MAX = 12
SERIES_POINTS = 120
USES_MAX = 20


@dataclass(frozen=True, slots=True)
class UnitPage:
    """A unit with everything about it. `parts` names the part numbers in it, `operators` people in runs and entries.

    `tree` and `uses` are as of the moment asked about; all else is as it is now.
    """

    unit: UnitView
    definition: Definition | None
    impediments: Impediments
    attempts: list[AttemptView]
    runs: list[RunView]
    more_runs: bool
    tree: Genealogy
    uses: list[Use]
    parts: dict[str, PartKnown]
    operators: dict[int, str]
    entries: Page[PositionedEntry]
    series: Page[Series]
    trace: TraceView


async def unit_page(
    connection: AsyncConnection, unit_id: str, *, now: datetime, as_of: datetime | None, known_at: datetime | None
) -> UnitPage:
    """Everything about a unit, which exists."""
    unit = await unit_view(connection, unit_id)
    tree = await genealogy(connection, unit_id, as_of=as_of, known_at=known_at)
    runs = await newest_runs(connection, unit_id, RUNS_MAX + 1)
    entries = await newest_entries_of_subject(connection, unit_id, ENTRIES_MAX, None)
    asked = Asked(points=SERIES_POINTS)
    uses = await where_used(connection, Sought(unit_id=unit_id), When(now, as_of, known_at), limit=USES_MAX)
    return UnitPage(
        unit,
        await _definition(connection, unit_id),
        await impediments(connection, unit_id),
        await attempts(connection, unit_id),
        runs[:RUNS_MAX],
        len(runs) > RUNS_MAX,
        tree,
        uses.items,
        await parts_known(connection, {unit.part, *parts_in(tree)}),
        await operator_names(connection, {*(run.operator or 0 for run in runs), *people_in(entries.items)}),
        entries,
        await series(connection, unit_id, asked, limit=SERIES_MAX, cursor=None),
        await trace_of(connection, unit_id),
    )


_SIGNS = text(
    """
    WITH RECURSIVE inside (id) AS (
        SELECT CAST(:unit AS uuid)
        UNION SELECT i.child_id FROM inside JOIN installation i ON i.parent_id = inside.id
        WHERE i.child_id IS NOT NULL AND i.superseded_at IS NULL AND upper_inf(i.during)
    )
    SELECT (SELECT count(*) FROM inside), (SELECT sum(u.journal_number) FROM unit u JOIN inside ON inside.id = u.id),
           (SELECT count(*) FROM hold WHERE upper_inf(during)), (SELECT max(lower(during)) FROM hold),
           (SELECT count(*) FROM (SELECT FROM message WHERE fate = 'pending' LIMIT 10000) AS waiting),
           (SELECT key FROM message WHERE fate = 'pending' ORDER BY key DESC LIMIT 1)
    """
)


async def signs_of_unit(connection: AsyncConnection, unit_id: str) -> tuple[object, ...]:
    """Something cheap that is another whenever a unit's page may look different: a journal of what is in it went on."""
    return tuple((await connection.execute(_SIGNS, {"unit": unit_id})).one())


_PRODUCT = text("SELECT product_id::text FROM unit WHERE id = :id")


async def _definition(connection: AsyncConnection, unit_id: str) -> Definition | None:
    product_id = (await connection.execute(_PRODUCT, {"id": unit_id})).scalar_one()
    return (await products(connection, [product_id]))[product_id].definition if product_id else None


def parts_in(node: Node) -> set[str]:
    """Every part number below a node."""
    found: set[str] = set()
    rest = list(node.children)
    while rest:
        one = rest.pop()
        found.add(one.part)
        rest.extend(one.children)
    return found
