"""Several processes settle what one reads: each unit's order is kept, and they live and die together."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from mes.db.session import Database
from mes.mqtt.bridge import Delivery
from mes.mqtt.consumer import Done
from mes.mqtt.crew import CrewEndedError, crew_of, share_of
from mes.settings import Settings
from tests.bench import floor
from tests.mqtt.floor import NOW

SETTLE = (sys.executable, "-m", "mes.ingesting")
BROKEN = """
import asyncio, sys
from mes.mqtt import crew
async def broken(parts, at):
    raise ZeroDivisionError
async def main():
    reader, writer, _ = await crew.joining(int(sys.argv[1]))
    await crew.work(reader, writer, broken)
asyncio.run(main())
"""
TOPIC = "mes/v1/st-1/run"


END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()"""


def share(data: str, topic: str = TOPIC) -> int:
    body = f'{{"specversion":"1.0","id":"1","source":"stations/st-1","type":"mes.x","data":{data}}}'
    return share_of(topic, body.encode(), 1000)


def test_all_that_is_said_of_a_unit_is_for_the_same_process() -> None:
    same = {
        share('{"unit":"SN-1","step":"a"}'),
        share('{"step":"b","unit" : "SN-1"}'),
        share('{"unit":{"part":"P","serial":"SN-1"}}'),
        share('{"unit": {"serial":"SN-1","part":"P"}}'),
        share('{"parent":"SN-1","position":"U1","child":{"part":"P","serial":"SN-2"}}'),
        share_of(TOPIC, b'{"unit":"SN-1","step":"a"}', 1000),
    }
    assert len(same) == 1
    assert share('{"unit":"SN-2"}') not in same


def test_what_names_no_unit_goes_by_its_topic() -> None:
    assert share('{"state":"running"}') == share("not json") != share("{}", "mes/v1/st-2/status")
    assert 0 <= share_of(TOPIC, b"", 2) < 2


def test_shares_are_even() -> None:
    counted = Counter(share_of(one.topic, one.payload, 4) for one in floor.runs(400))
    assert min(counted.values()) > 0.8 * max(counted.values())


def deliveries(units: int) -> list[Delivery]:
    return [
        Delivery(one.topic, one.payload, False, False, 1, number % 65535 + 1, 1)
        for number, one in enumerate(floor.runs(units))
    ]


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await floor.set_up(database, 60)
    yield database
    await database.close()


def hello(database: Database) -> dict[str, object]:
    return Settings(database_url=database.url, log_level="WARNING").model_dump(mode="json")


async def execute(database: Database, *statements: str) -> None:
    async with database.transaction() as connection:
        name = (await connection.exec_driver_sql("SELECT current_database()")).scalar_one()
        for statement in statements:
            await connection.exec_driver_sql(statement.replace("CURRENT", f'"{name}"'))


async def refolded(database: Database) -> int:
    async with database.reading() as connection:
        found = await connection.exec_driver_sql("SELECT count(*) FROM journal WHERE type = 'mes.unit.refolded'")
        return int(found.scalar_one())


async def test_a_crew_settles_everything_in_each_units_order(database: Database) -> None:
    said = deliveries(60)
    async with crew_of(2, SETTLE, hello(database)) as hands:
        parts = [said[start : start + 50] for start in range(0, len(said), 50)]
        done = await asyncio.gather(*(hands.take(part, NOW) for part in parts))
        again = await hands.take(said, NOW)
    fates: Counter[str] = Counter()
    for one in done:
        assert one is not None
        fates.update(one.fates)
        assert one.receipts
    assert fates == {"applied": len(said)}
    assert again is not None
    assert again.fates == {"duplicate": len(said)}
    assert len(again.times_s) == len(said)
    assert await refolded(database) == 0


async def test_without_the_database_nothing_is_taken_for_settled(database: Database) -> None:
    async with crew_of(2, SETTLE, hello(database)) as hands:
        await execute(database, "ALTER DATABASE CURRENT SET default_transaction_read_only = on", END_OTHERS)
        assert await hands.take(deliveries(5), NOW) is None
        await execute(database, "ALTER DATABASE CURRENT RESET default_transaction_read_only", END_OTHERS)
        assert isinstance(await hands.take(deliveries(5), NOW), Done)


async def test_when_one_ends_all_that_it_had_comes_again(database: Database) -> None:
    async with crew_of(2, SETTLE, hello(database)) as hands:
        watching = asyncio.create_task(hands.watch())
        taken = asyncio.create_task(hands.take(deliveries(60), NOW))
        await asyncio.sleep(0)
        hands.members[0].process.kill()
        assert await taken is None
        with pytest.raises(CrewEndedError, match="status -9"):
            await watching
        assert await hands.take(deliveries(60), NOW) is None


async def test_a_fault_beside_the_settling_ends_one_and_leaves_nobody_waiting() -> None:
    async with crew_of(1, (sys.executable, "-c", BROKEN), {}) as hands:
        assert await asyncio.wait_for(hands.take(deliveries(5), NOW), 20) is None
        with pytest.raises(CrewEndedError, match="status 1"):
            await hands.watch()


async def test_one_that_can_not_start_says_so() -> None:
    settings = Settings(database_url="postgresql://nobody@127.0.0.1:1/none").model_dump(mode="json")
    with pytest.raises(CrewEndedError, match="did not start"):
        async with crew_of(1, SETTLE, settings):
            pass


async def test_they_end_with_the_one_that_they_settle_for(database: Database) -> None:
    async with crew_of(2, SETTLE, hello(database)) as hands:
        processes = [one.process for one in hands.members]
    assert [one.returncode for one in processes] == [0, 0]
