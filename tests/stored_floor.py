"""What the database says of the floor, in a shape that two floors can be compared by; and what the journal folds to."""

from datetime import UTC, datetime
from typing import Any

from mes.db.entries import entries_in
from mes.db.holds import holds_on
from mes.db.installations import stays_in
from mes.db.material import loadings_at
from mes.db.products import products
from mes.db.session import Database, driver
from mes.domain.floor import fold_floor

STATES = "SELECT id::text, serial, state, progress, product_id::text FROM unit ORDER BY serial, part"
ATTEMPTS = """
    SELECT u.serial, a.step, a.number, a.station, a.run, a.started_at, a.ended_at, a.claim, a.outcome, a.counted,
           a.deviations
    FROM attempt a JOIN unit u ON u.id = a.unit_id ORDER BY 1, 2, 3
"""
STAYS = """
    SELECT p.serial AS parent, i.position, c.serial AS child, l.lot, i.quantity, lower(i.during) AS since,
           upper(i.during) AS until, (
               SELECT array_agg(one.lot ORDER BY one.lot) FROM lot one WHERE one.id = ANY(i.loaded)) AS loaded
    FROM installation i JOIN unit p ON p.id = i.parent_id
    LEFT JOIN unit c ON c.id = i.child_id LEFT JOIN lot l ON l.id = i.lot_id
    WHERE i.superseded_at IS NULL ORDER BY 1, 2, 6, 3, 4
"""
RUNS = """
    SELECT u.serial, r.step, r.station, r.run, r.ended_at, r.claim, r.verdict, r.reasons, r.numbers
    FROM run r JOIN unit u ON u.id = r.unit_id ORDER BY 1, 2, 5, 4
"""
NONCONFORMANCES = """
    SELECT u.serial, n.step, n.opened_at, n.closed_at, n.state
    FROM nonconformance n JOIN unit u ON u.id = n.unit_id
    WHERE n.closed_at IS DISTINCT FROM n.opened_at ORDER BY 1, 3, 2 -- else it turned out never to have been
"""


async def picture(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Units, attempts, stays, runs and nonconformances without anything that depends on ids or arrival."""
    async with database.reading() as connection:
        raw = await driver(connection)
        units = [(row["serial"], row["state"]) for row in await raw.fetch(STATES)]
        rest = {"attempts": ATTEMPTS, "stays": STAYS, "runs": RUNS, "nonconformances": NONCONFORMANCES}
        return {"units": units} | {name: [tuple(row) for row in await raw.fetch(sql)] for name, sql in rest.items()}


async def assert_folded_from_journal(database: Database) -> None:
    """What is stored is what the journal's entries fold to, by the reference fold in memory."""
    async with database.reading() as connection:
        raw = await driver(connection)
        rows = await raw.fetch(STATES)
        known = await products(connection, {row["product_id"] for row in rows if row["product_id"]})
        definitions = {row["id"]: known[row["product_id"]].definition if row["product_id"] else None for row in rows}
        bodies = [row["body"] for row in await raw.fetch("SELECT body FROM journal ORDER BY id DESC")]
        keys = [*definitions, *{row["part"] for row in await raw.fetch("SELECT DISTINCT part FROM unit")}]
        keys += [row["id"] for row in await raw.fetch("SELECT id::text FROM lot")]
        floor = fold_floor(definitions, entries_in(bodies), await holds_on(connection, keys))
        stored = {stay for stays in (await stays_in(connection, definitions)).values() for stay in stays}
        assert {_bare(stay) for stay in stored} == {_bare(stay) for stay in floor.stays}
        stations = {row["station"] for row in await raw.fetch("SELECT station FROM loading")}
        loadings = await loadings_at(connection, stations, datetime.min.replace(tzinfo=UTC))
        assert {one.loading for one in loadings} == set(floor.loadings)
        for row in rows:
            assert row["state"] == floor.units[row["id"]][0].state, row["serial"]
        counts = {row[0]: row[1] for row in await raw.fetch("SELECT unit_id::text, count(*) FROM attempt GROUP BY 1")}
        for unit, (_, attempts) in floor.units.items():
            assert counts.get(unit, 0) == len(attempts)


def _bare(stay: Any) -> Any:
    return stay._replace(deviations=())
