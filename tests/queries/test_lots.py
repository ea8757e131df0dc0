"""Lots in genealogy and recall: named by a scan, taken from what was loaded at the station, or one of several."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest
import pytest_asyncio

from mes.commands.holds import place
from mes.db.contents import contents
from mes.db.lookup import find_unit
from mes.db.session import Database
from mes.domain.refusals import Refusal
from mes.queries.bench import unit_on_bench
from mes.queries.genealogy import Node, genealogy
from mes.queries.impediments import impediments
from mes.queries.material import LoadingView, Where, list_loadings
from mes.queries.where_used import Sought, Use, When, where_used
from tests.stage import START, Stage


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


async def loadings(stage: Stage, at: float | None = None, **where: str) -> list[LoadingView]:
    moment = START + timedelta(seconds=at) if at is not None else None
    async with stage.database.reading() as connection:
        page = await list_loadings(connection, "main", Where(**where), moment=moment, limit=10, cursor=None)
        return page.items


async def test_what_is_loaded_where_and_how_much_of_it_was_used(stage: Stage) -> None:
    assert [(one.lot, one.place, one.used) for one in await loadings(stage)] == [("L1", "F1", 4), ("L2", "F2", 0)]
    assert [one.lot for one in await loadings(stage, at=3)] == ["L1"]
    assert [one.station for one in await loadings(stage, lot="L2", part="SCREW-1", station="as-1")] == ["as-1"]
    assert await loadings(stage, station="ft-1") == []
    with pytest.raises(Refusal, match="No station"):
        await loadings(stage, station="nobody")


async def test_more_used_than_was_loaded_shows(stage: Stage) -> None:
    await stage.send([stage.unload("L1", 10), stage.unload("L2", 10), stage.load("L9", 11, quantity=10)])
    await stage.send([stage.draw("T1", 12, 4), stage.draw("T2", 13, 4)])
    child = {"part": "SCREW-1", "lot": "L9", "quantity": 1}
    await stage.send([stage.message("removed", "as-1", 14, parent="T1", position="SCREWS", child=child)])
    (one,) = await loadings(stage, lot="L9")
    assert (one.quantity, one.used, one.overdrawn) == (10, 8, False)
    await stage.send([stage.unload("L9", 20, quantity=3)])
    (one,) = await loadings(stage, lot="L9")
    assert (one.left, one.overdrawn) == (3, True)
