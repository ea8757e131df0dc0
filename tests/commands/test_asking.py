"""Asks are decided by all that is known, in few statements, and at once with whatever else moves the unit."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from mes.commands import holds
from mes.commands.act import Act
from mes.commands.asking import Answer, answer, not_settled
from mes.commands.awaiting import Arrivals
from mes.commands.calibrations import calibrate
from mes.db.asks import make_ready
from mes.db.contents import Late
from mes.db.session import Database, driver
from mes.formats.messages import Message, decode
from tests.commands.test_ingest_foreign import journalled
from tests.commands.test_ingest_inventory import BUILT_G1, BUILT_G2, read, tray
from tests.stage import START, Stage, time
from tests.stored_floor import assert_folded_from_journal


def ask(id: str, unit: str, step: str, station: str = "as-1", **more: Any) -> Message:
    said = {
        "specversion": "1.0",
        "id": id,
        "source": f"stations/{station}",
        "type": "mes.step.asked",
        "time": time(0),
        "data": {"unit": unit, "step": step, **more},
    }
    (message,) = decode(station, "ask", json.dumps(said).encode())
    assert isinstance(message, Message), message
    return message


async def asked(stage: Stage, message: Message, happened_at: datetime | None = None) -> Answer:
    stage.now += timedelta(seconds=1)
    return await answer(stage.database, message, (), stage.now, happened_at)


def codes(told: Answer) -> list[str]:
    return [one.code for one in told.reasons]


@contextmanager
def counted(database: Database, ready: asyncpg.Connection) -> Iterator[list[str]]:
    """Statements said meanwhile, over whichever kind of connection; what the pools say by themselves included."""
    seen: list[str] = []

    def note(query: Any) -> None:
        seen.append(query.query)

    def noted(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    ready.add_query_logger(note)
    event.listen(database.engine.sync_engine, "before_cursor_execute", noted)
    try:
        yield seen
    finally:
        ready.remove_query_logger(note)
        event.remove(database.engine.sync_engine, "before_cursor_execute", noted)


async def hold(stage: Stage, scope: str, key: str, part: str | None = None) -> None:
    async with stage.database.transaction() as connection:
        await holds.place(connection, scope, key, scope, Act("main", "q.eng", stage.now), part)


@pytest.fixture
async def floor(stage: Stage) -> Stage:
    """With a tray whose inventory is read before its test, and another that has nothing in it."""
    await stage.set_up(tray())
    await stage.release("T1", "T2", part="TRAY-2")
    began = stage.message("started", "ft-1", 100, unit="T1", step="check")
    passed = stage.message("completed", "ft-1", 120, unit="T1", step="check", outcome="pass")
    swapped = [{**BUILT_G1, "serial": "G2"}, {**BUILT_G2, "serial": "G1"}]
    await stage.send([*stage.build("T1", 0, "G1", "G2"), began, read("i1", 110, items=swapped), passed])
    return stage


async def test_an_ask_takes_two_statements(floor: Stage) -> None:
    arrivals = Arrivals(floor.database)
    parts = [{"part": "GPU-1", "serial": "G1"}, {"part": "SCREW-1", "lot": "LOT-1"}, {"part": "GPU-1", "serial": "G9"}]
    costs = [
        (ask("a1", "T2", "build"), 2),  # granted
        (ask("a2", "T2", "check", "ft-1"), 2),  # refused
        (ask("a3", "T2", "build", parts=parts), 2),
        (ask("a4", "T1", "test", "ft-1"), 3),  # with an inventory to be compared
        (ask("a5", "T2", "check", "ft-1", after=["i1"]), 3),
        (ask("a1", "T2", "build"), 3),  # said again
        (ask("a6", "T9", "build"), 1),
        (ask("a7", "T2", "build", "xx-9"), 1),
    ]
    async with floor.database.direct() as proxy:
        ready = proxy._con  # the one that is given again, being the last that was given back
    for message, expected in costs:
        with counted(floor.database, ready) as seen:
            missing = await not_settled(arrivals, message)
            floor.now += timedelta(seconds=1)
            await answer(floor.database, message, missing, floor.now)
        assert len(seen) == expected, (message, seen)


async def test_a_process_can_be_made_ready_before_anybody_asks(floor: Stage) -> None:
    await make_ready(floor.database)
    await make_ready(floor.database)
    assert await journalled(floor, "mes.step.answered") == []
    assert (await asked(floor, ask("a1", "T2", "build"))).granted


async def test_every_reason_is_told_at_once(floor: Stage) -> None:
    await hold(floor, "station", "ft-1")
    await hold(floor, "work_order", "WO-1")
    await hold(floor, "part", "TRAY-2")
    await hold(floor, "unit", "T1")
    await hold(floor, "lot", "LOT-1")
    await hold(floor, "station", "as-1")  # another one
    async with floor.database.transaction() as connection:
        await calibrate(connection, "ft-1", START, None, Act("main", "q.eng", floor.now))
    told = await asked(floor, ask("a1", "T1", "test", "ft-1", parts=[{"part": "SCREW-1", "lot": "LOT-1"}]))
    assert codes(told) == ["on_hold", "expired_calibration", "unit_mismatch", "on_hold"]
    (own, *_, lot) = told.reasons
    assert {one["scope"] for one in own.facts["holds"]} == {"station", "work_order", "part", "unit", "lot"}
    assert [one["scope"] for one in lot.facts["holds"]] == ["lot"]


async def test_an_answer_in_the_past_is_recorded_like_any_other(floor: Stage) -> None:
    """It is older than what is folded already, so the unit is folded again."""
    late = await asked(floor, ask("a1", "T1", "build"), START - timedelta(seconds=1))
    now = await asked(floor, ask("a2", "T1", "build"))
    assert (codes(late), codes(now)) == (["already_passed"], ["already_passed"])
    first, second = await journalled(floor, "mes.step.answered")
    assert (first["asked"]["id"], second["asked"]["id"]) == ("a1", "a2")
    assert first.keys() == second.keys()
    assert first["trace_id"] == second["trace_id"]
    assert second["subjects"][0]["number"] > first["subjects"][0]["number"]
    assert len(await journalled(floor, "mes.unit.refolded")) == 1
    await assert_folded_from_journal(floor.database)


async def test_what_moves_the_unit_meanwhile_is_taken_into_account(floor: Stage) -> None:
    await asked(floor, ask("a0", "T2", "build"))
    async with floor.database.transaction() as connection:
        await holds.place(connection, "unit", "T2", "dropped", Act("main", "q.eng", floor.now))
        asking = asyncio.create_task(asked(floor, ask("a1", "T2", "build")))
        await _until_somebody_waits(floor.database)
    assert codes(await asking) == ["on_hold"]
    assert len(await journalled(floor, "mes.step.answered")) == 2
    await assert_folded_from_journal(floor.database)


async def _until_somebody_waits(database: Database) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10), database.direct() as connection:
        while not await connection.fetchval(waiting):  # noqa: ASYNC110 - it has no other way to say so
            await asyncio.sleep(0.01)


async def test_many_asks_for_one_unit_at_once_are_all_recorded(floor: Stage) -> None:
    at = floor.now + timedelta(seconds=1)
    many = [ask(f"a{number}", "T2", "build") for number in range(30)]
    answers = await asyncio.gather(*(answer(floor.database, one, (), at) for one in many))
    assert all(one.granted for one in answers)
    assert len({one.grant for one in answers}) == 30
    entries = await journalled(floor, "mes.step.answered")
    numbers = sorted(one["subjects"][0]["number"] for one in entries)
    assert numbers == list(range(numbers[0], numbers[0] + 30))
    assert len({one["subjects"][0]["previous"] for one in entries}) == 30
    await assert_folded_from_journal(floor.database)


async def test_asks_beside_ingest_leave_what_the_journal_folds_to(floor: Stage) -> None:
    serials = [f"B{number}" for number in range(8)]
    await floor.release(*serials, number="WO-2", part="TRAY-2")
    at = floor.now + timedelta(seconds=1)

    async def ingest() -> None:
        for number, serial in enumerate(serials):
            await floor.send(floor.build(serial, number, f"L{number}", f"R{number}"))

    async def asking(serial: str) -> None:
        for number in range(6):
            await answer(floor.database, ask(f"{serial}-{number}", serial, "build"), (), at)

    await asyncio.gather(ingest(), *(asking(serial) for serial in serials))
    assert len(await journalled(floor, "mes.step.answered")) == 6 * len(serials)
    await assert_folded_from_journal(floor.database)


async def test_an_ask_delivered_twice_at_once_is_decided_once(floor: Stage) -> None:
    at = floor.now + timedelta(seconds=1)
    answers = await asyncio.gather(*(answer(floor.database, ask("a1", "T2", "build"), (), at) for _ in range(10)))
    assert answers[0].granted
    assert len(set(map(str, answers))) == 1
    assert len(await journalled(floor, "mes.step.answered")) == 1


async def test_all_who_wait_share_a_look(floor: Stage) -> None:
    arrivals = Arrivals(floor.database)
    async with floor.database.direct() as proxy:
        ready = proxy._con
    waiting = [ask(f"a{number}", "T2", "test", "ft-1", after=["i1", "lost"]) for number in range(100)]
    late = ask("late", "T2", "build", "ft-1", after=["i2"])
    with counted(floor.database, ready) as seen:
        alone = asyncio.create_task(not_settled(arrivals, late, 10))
        lost = asyncio.gather(*(not_settled(arrivals, one, 0.5) for one in waiting))
        await asyncio.sleep(0.2)
        (settled,) = await floor.send([read("i2", 130, items=[BUILT_G1, BUILT_G2])])
        assert settled.fate == "applied"
        assert await alone == []
        assert await lost == [[Late("lost", None)]] * 100
    looks = sum("LEFT JOIN inbox i ON i.source = t.source" in one for one in seen)
    assert looks < 200  # one each to begin with, then one for all


async def test_who_joins_during_a_look_goes_on_waiting(floor: Stage) -> None:
    arrivals = Arrivals(floor.database)
    joining = [ask(f"a{number}", "T2", "build", after=[f"lost-{number}"]) for number in range(40)]
    waits = []
    for one in joining:
        waits.append(asyncio.create_task(not_settled(arrivals, one, 0.5)))
        await asyncio.sleep(0.002)
    assert await asyncio.gather(*waits) == [[Late(f"lost-{number}", None)] for number in range(40)]


async def test_a_database_that_fails_fails_all_who_wait(floor: Stage) -> None:
    arrivals = Arrivals(floor.database)
    waiting = [asyncio.create_task(not_settled(arrivals, ask(f"a{n}", "T2", "build", after=["x"]), 10)) for n in (1, 2)]
    await asyncio.sleep(0.1)
    async with floor.database.transaction() as connection:
        await (await driver(connection)).execute("ALTER TABLE inbox RENAME TO elsewhere")
    for one in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(one, asyncpg.UndefinedTableError)
    async with floor.database.transaction() as connection:
        await (await driver(connection)).execute("ALTER TABLE elsewhere RENAME TO inbox")
    assert await not_settled(arrivals, ask("a3", "T2", "build", after=["x"]), 0.05) == [Late("x", None)]
