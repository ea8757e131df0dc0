"""How many statements each read costs, whatever there is to read; and that reading a rack's tree is quick."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, text

from mes.db.session import Database
from tests.rest.floor import Floor
from tests.rest.test_units import install

READS = {
    "/products": 1,
    "/products/CB-1/revisions/A": 1,
    "/work-orders": 1,
    "/work-orders/WO-1": 1,
    "/lines": 1,
    "/lines/L1": 1,
    "/stations": 1,
    "/stations/st-01": 1,
    "/units": 1,
    "/units?serial=CB-1": 1,
    "/units/CB-1-000001": 2,
    "/units/CB-1-000001/history": 2,
    "/units/CB-1-000001/runs": 2,
    "/units/CB-1-000001/samples": 2,
    "/units/CB-1-000001/genealogy": 2,
    "/units/CB-1-000001/where-used": 2,
    "/where-used?part=PLUG-1": 2,
    "/where-used?lot=L-1": 2,
    "/holds": 1,
    "/nonconformances": 1,
    "/messages": 1,
    "/journal": 1,
}
"""Statements of each read, besides the one that finds the token."""
GENEALOGY_MAX_S = 0.25


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Statements executed meanwhile, without those that only begin a snapshot."""
    seen: list[str] = []

    def note(*arguments: object) -> None:
        statement = str(arguments[2])
        if not statement.startswith("SET TRANSACTION"):
            seen.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield seen
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_each_read_takes_as_many_statements_as_it_says(floor: Floor) -> None:
    await floor.released(quantity=50)
    at = datetime.now(UTC) - timedelta(hours=1)
    for serial in ("CB-1-000001", "CB-1-000002"):
        await install(floor, serial, "P1", {"part": "PLUG-1", "lot": "L-1", "quantity": 2}, at)
    await floor.done("GET", "/units/CB-1-000001")  # reads the definition, which is kept
    for path, expected in READS.items():
        with counted(floor.database) as seen:
            await floor.done("GET", path)
        assert len(seen) == expected + 1, (path, seen)


RACK = """
    INSERT INTO unit (id, part, serial, state, progress, created_at)
    SELECT gen_random_uuid(), 'R', 'RACK-' || n, 'received', '{"state": "received"}', now()
    FROM generate_series(0, 320) AS n;
    INSERT INTO identifier (id, unit_id, kind, part, value, during)
    SELECT gen_random_uuid(), id, 'serial', part, serial, tstzrange(NULL, NULL) FROM unit;
    INSERT INTO installation (id, parent_id, position, child_id, part, during, recorded_at, installed_key, deviations)
    SELECT gen_random_uuid(), parent.id, 'P' || n, child.id, 'R', tstzrange(now() - interval '1 hour', NULL), now(),
           '2026-11-22T10:00:00.000000Z 06 stations/st-01 m-' || n, '{}'
    FROM generate_series(1, 320) AS n
    JOIN unit child ON child.serial = 'RACK-' || n
    JOIN unit parent ON parent.serial = 'RACK-' || CASE WHEN n <= 20 THEN 0 ELSE (n - 21) / 15 + 1 END
"""


async def test_a_rack_of_320_parts_is_read_at_once(floor: Floor) -> None:
    async with floor.database.transaction() as connection:
        for statement in RACK.split(";"):
            await connection.execute(text(statement))
    took_s = []
    for _ in range(5):
        began = time.perf_counter()
        tree = await floor.done("GET", "/units/RACK-0/genealogy")
        took_s.append(time.perf_counter() - began)
    assert tree["parts"] == 320
    assert [child["position"] for child in tree["children"][:3]] == ["P1", "P2", "P3"]
    assert tree["children"][0]["children"][0]["path"] == "P1/P21"
    assert min(took_s) < GENEALOGY_MAX_S, took_s
    (use,) = (await floor.done("GET", "/units/RACK-300/where-used"))["items"]
    assert use["top_serial"] == "RACK-0"
    assert use["path"].endswith("/P300")


@pytest.mark.parametrize("first", ["RACK-0", "RACK-1"])
async def test_a_circle_that_should_not_be_is_walked_once(floor: Floor, first: str) -> None:
    async with floor.database.transaction() as connection:
        for statement in RACK.split(";")[:2]:
            await connection.execute(text(statement.replace("320", "1")))
        await connection.execute(
            text(
                "INSERT INTO installation (id, parent_id, position, child_id, part, during, recorded_at, installed_key,"
                " deviations) SELECT gen_random_uuid(), a.id, 'P', b.id, 'R', tstzrange(now(), NULL), now(),"
                " '2026-11-22T10:00:00.000000Z 06 s i', '{}' FROM unit a JOIN unit b ON a.id <> b.id"
            )
        )
    tree = await floor.done("GET", f"/units/{first}/genealogy")
    assert tree["parts"] <= 2
    assert (await floor.call("GET", f"/units/{first}/where-used")).status_code == 200
