"""What the units of some orders come to, in one reading: how many, in which states, and all that was done to them."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over the units of some orders. `completed` includes what was packed or shipped since.

    `first_pass`: completed units of which every step passed at its first attempt, not counting those that the station
    spoiled. `serials`: serialized parts installed, each once; `installations` counts every installation that was told.
    """

    units: int
    completed: int
    scrapped: int
    first_pass: int
    installations: int
    serials: int
    runs: int
    measurements: int
    samples: int
    nonconformances: int
    repairs: int


_TOTALS = text(
    """
    WITH ours AS MATERIALIZED (
        SELECT u.id, u.state, u.state IN ('completed', 'packed', 'shipped') AS done
        FROM unit u JOIN work_order o ON o.id = u.work_order_id
        WHERE o.site = :site AND starts_with(o.number, :orders)
    ), firsts AS (
        SELECT DISTINCT ON (a.unit_id, a.step) a.unit_id, a.outcome
        FROM attempt a JOIN ours ON ours.id = a.unit_id
        WHERE a.outcome IN ('pass', 'fail') ORDER BY a.unit_id, a.step, a.number
    ), entries AS (
        SELECT DISTINCT j.id, j.type FROM ours
        JOIN journal_subject s ON s.subject_id = ours.id JOIN journal j ON j.id = s.entry_id
        WHERE j.type IN ('mes.part.installed', 'mes.nonconformance.repaired')
    )
    SELECT count(*) AS units,
           count(*) FILTER (WHERE done) AS completed,
           count(*) FILTER (WHERE state = 'scrapped') AS scrapped,
           count(*) FILTER (WHERE done AND NOT EXISTS (
               SELECT FROM firsts f WHERE f.unit_id = ours.id AND f.outcome = 'fail')) AS first_pass,
           (SELECT count(*) FROM entries WHERE type = 'mes.part.installed') AS installations,
           (SELECT count(DISTINCT i.child_id) FROM installation i JOIN ours o ON o.id = i.parent_id
            WHERE i.superseded_at IS NULL) AS serials,
           (SELECT count(*) FROM run r JOIN ours o ON o.id = r.unit_id) AS runs,
           (SELECT coalesce(sum(cardinality(r.numbers)), 0) FROM run r JOIN ours o ON o.id = r.unit_id)
               AS measurements,
           (SELECT coalesce(sum(c.samples), 0) FROM sample_chunk c JOIN ours o ON o.id = c.unit_id) AS samples,
           (SELECT count(*) FROM nonconformance n JOIN ours o ON o.id = n.unit_id) AS nonconformances,
           (SELECT count(*) FROM entries WHERE type = 'mes.nonconformance.repaired') AS repairs
    FROM ours
    """
)


async def totals(connection: AsyncConnection, site: str, orders: str) -> Totals:
    """The totals of the units of all orders whose number starts with `orders`."""
    row = (await connection.execute(_TOTALS, {"site": site, "orders": orders})).one()
    return Totals(**{name: int(value) for name, value in row._mapping.items()})
