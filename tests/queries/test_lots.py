"""Lots in genealogy and recall: named by a scan, taken from what was loaded at the station, or one of several."""

from collections.abc import AsyncIterator, Sequence

import pytest_asyncio

from mes.commands.holds import place
from mes.db.contents import contents
from mes.db.lookup import find_unit
from mes.db.session import Database
from mes.queries.bench import unit_on_bench
from mes.queries.genealogy import Node, genealogy
from mes.queries.impediments import impediments
from mes.queries.where_used import Sought, Use, When, where_used
from tests.stage import Stage


@pytest_asyncio.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    """T1's lot was named, T2's was loaded, T3's is one of two, T4's is not known."""
    database = Database(database_url)
    stage = Stage(database)
    await stage.set_up()
    await stage.release("T1", "T2", "T3", "T4")
    await stage.send(
        [
            stage.draw("T4", 0),
            stage.screws("T1", 1, lot="L1"),
            stage.load("L1", 2, place="F1"),
            stage.draw("T2", 3),
            stage.load("L2", 4, place="F2"),
            stage.draw("T3", 5),
        ]
    )
    yield stage
    await database.close()


async def screws_in(stage: Stage, serial: str) -> Node:
    async with stage.database.reading() as connection:
        unit = await find_unit(connection, serial)
        (node,) = (await genealogy(connection, unit.id, as_of=None, known_at=None)).children
        return node


async def uses(stage: Stage, *, limit: int | None = None, **sought: str) -> Sequence[Use]:
    found: list[Use] = []
    cursor = None
    async with stage.database.reading() as connection:
        while True:
            page = await where_used(
                connection, Sought(**sought), When(stage.now, ever=True), limit=limit, cursor=cursor
            )
            found += page.items
            cursor = page.next_cursor
            if cursor is None:
                return found


async def test_genealogy_says_how_each_lot_is_known(stage: Stage) -> None:
    told = {serial: await screws_in(stage, serial) for serial in ("T1", "T2", "T3", "T4")}
    assert {serial: (one.lot, one.lot_by, one.possible_lots) for serial, one in told.items()} == {
        "T1": ("L1", "scan", []),
        "T2": ("L1", "station", []),
        "T3": (None, "one_of", ["L1", "L2"]),
        "T4": (None, "unknown", []),
    }
    assert {(one.part, one.maker, one.quantity) for one in told.values()} == {("SCREW-1", "", 4.0)}
    assert (told["T3"].deviations, told["T4"].deviations) == (["lot_ambiguous"], ["not_loaded"])


async def test_recall_finds_whatever_may_be_of_a_lot(stage: Stage) -> None:
    assert [(one.top_serial, one.lot, one.lot_by) for one in await uses(stage, lot="L1")] == [
        ("T1", "L1", "scan"),
        ("T2", "L1", "station"),
        ("T3", "L1", "one_of"),
    ]
    assert [(one.top_serial, one.lot_by) for one in await uses(stage, lot="L2")] == [("T3", "one_of")]


async def test_recall_of_a_part_number_finds_unknown_lots_too(stage: Stage) -> None:
    expected = [
        ("T1", "L1", "scan"),
        ("T2", "L1", "station"),
        ("T3", "L1", "one_of"),
        ("T3", "L2", "one_of"),
        ("T4", None, "unknown"),
    ]
    for limit in (None, 1, 2):
        found = await uses(stage, part="SCREW-1", limit=limit)
        assert [(one.top_serial, one.lot, one.lot_by) for one in found] == expected


async def test_a_late_load_is_not_what_was_believed_before(stage: Stage) -> None:
    before = stage.now
    await stage.send([stage.load("L3", -1)])
    assert (await screws_in(stage, "T4")).lot == "L3"
    async with stage.database.reading() as connection:
        unit = await find_unit(connection, "T4")
        (node,) = (await genealogy(connection, unit.id, as_of=None, known_at=before)).children
    assert (node.lot, node.lot_by) == (None, "unknown")


async def test_a_hold_on_a_lot_stands_in_the_way_of_whatever_may_be_of_it(stage: Stage) -> None:
    async with stage.database.transaction() as connection:
        await place(connection, "lot", "L2", "porous", stage.act())
    async with stage.database.reading() as connection:
        for serial, holds in (("T2", 0), ("T3", 1)):
            unit = await find_unit(connection, serial)
            assert len((await impediments(connection, unit.id)).holds) == holds
            assert len((await unit_on_bench(connection, unit.id)).holds) == holds
            lots = {one.lot_id for one in await contents(connection, unit.id) if one.lot_id}
            assert len(lots) == holds + 1
