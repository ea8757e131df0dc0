"""Said by eight at once, it is one: a part that is scanned for the first time, a unit that is ordered, a message."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

import httpx
import pytest

from mes.app import create_app
from mes.commands.access import add_token
from mes.commands.ingest import settle
from mes.db.session import Database, driver
from mes.formats.messages import Message, decode
from mes.settings import Settings
from tests.stage import Stage

WRITERS = 8
ROUNDS = 5
API = "http://mes/api/v1"


@pytest.fixture
async def writers(database_url: str) -> AsyncIterator[list[Database]]:
    """Writers that share nothing but the database."""
    writers = [Database(database_url, pool_size=1) for _ in range(WRITERS)]
    yield writers
    for one in writers:
        await one.close()


async def fetch(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        return [tuple(row) for row in await (await driver(connection)).fetch(statement, *values)]


async def test_a_part_scanned_first_by_eight_writers_is_one_part_in_one_place(
    stage: Stage, writers: list[Database]
) -> None:
    trays = [f"T{number}" for number in range(WRITERS)]
    await stage.release(*trays)
    for round_ in range(ROUNDS):
        part = f"G{round_}"
        scans = [stage.install(tray, "GPU1", part, 10 * round_ + number) for number, tray in enumerate(trays)]
        acts = [settle(writer, [scan], stage.now) for writer, scan in zip(writers, scans, strict=True)]
        settled = await asyncio.gather(*acts)
        assert [one.fate for (one,) in settled] == ["applied"] * WRITERS
        assert len(await fetch(stage.database, "SELECT 1 FROM unit WHERE serial = $1", part)) == 1
        assert len(await fetch(stage.database, "SELECT 1 FROM identifier WHERE value = $1", part)) == 1
        assert await places(stage, part) == ["T7"]  # the newest scan wins, whoever wrote last


async def places(stage: Stage, part: str) -> list[str]:
    """Where a part is now: the serials of the units that hold it."""
    found = await fetch(
        stage.database,
        """
        SELECT p.serial FROM installation i JOIN unit p ON p.id = i.parent_id JOIN unit c ON c.id = i.child_id
        WHERE c.serial = $1 AND i.superseded_at IS NULL AND upper_inf(i.during)
        """,
        part,
    )
    return [serial for (serial,) in found]


async def test_eight_parts_scanned_at_once_into_one_slot_leave_one_there(stage: Stage, writers: list[Database]) -> None:
    await stage.release("T1")
    for round_ in range(ROUNDS):
        scans = [stage.install("T1", "GPU1", f"G{round_}-{n}", 10 * round_ + n) for n in range(WRITERS)]
        acts = [settle(writer, [scan], stage.now) for writer, scan in zip(writers, scans, strict=True)]
        await asyncio.gather(*acts)
        held = await fetch(
            stage.database,
            """
            SELECT c.serial FROM installation i JOIN unit c ON c.id = i.child_id
            WHERE i.superseded_at IS NULL AND upper_inf(i.during)
            """,
        )
        assert held == [(f"G{round_}-7",)]


async def test_a_lot_mentioned_first_by_eight_writers_is_one_lot(stage: Stage, writers: list[Database]) -> None:
    trays = [f"T{number}" for number in range(WRITERS)]
    await stage.release(*trays)
    acts = [settle(writer, [stage.screws(tray, 10)], stage.now) for writer, tray in zip(writers, trays, strict=True)]
    assert {one.fate for (one,) in await asyncio.gather(*acts)} == {"applied"}
    assert len(await fetch(stage.database, "SELECT 1 FROM lot")) == 1
    assert len(await fetch(stage.database, "SELECT 1 FROM installation WHERE superseded_at IS NULL")) == WRITERS


async def test_a_serial_in_eight_orders_is_released_by_one(stage: Stage, writers: list[Database]) -> None:
    async with stage.database.transaction() as connection:
        token = await add_token(connection, "erp", "admin", at=datetime.now(UTC))
    headers = {"Authorization": f"Bearer {token}"}
    clients = [
        httpx.AsyncClient(transport=httpx.ASGITransport(create_app(writer, Settings())), headers=headers)
        for writer in writers
    ]
    for number, client in enumerate(clients):
        body = {"part": "TRAY-1", "revision": "A", "quantity": 2, "serials": ["SAME", f"OWN{number}"]}
        (await client.put(f"{API}/work-orders/WO-{number}", json=body)).raise_for_status()
    acts = [client.post(f"{API}/work-orders/WO-{number}/release") for number, client in enumerate(clients)]
    answers = await asyncio.gather(*acts)
    assert Counter(one.status_code for one in answers) == {200: 1, 409: WRITERS - 1}
    assert {one.json()["code"] for one in answers if one.status_code == 409} == {"serial_taken"}
    # Who lost left nothing behind: neither the serial nor the one that was its own.
    assert len(await fetch(stage.database, "SELECT 1 FROM unit WHERE serial = 'SAME'")) == 1
    assert len(await fetch(stage.database, "SELECT 1 FROM unit")) == 2
    assert await fetch(stage.database, "SELECT state, count(*) FROM work_order GROUP BY 1 ORDER BY 1") == [
        ("created", WRITERS - 1),
        ("released", 1),
    ]
    for client in clients:
        await client.aclose()


async def test_one_message_in_three_processes_is_one_effect(stage: Stage, database_url: str) -> None:
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    message = stage.run("T1", "test", 200, run="r1")
    before = len(await fetch(stage.database, "SELECT 1 FROM journal"))
    spawn = get_context("spawn")
    barrier = spawn.Barrier(3)
    results = spawn.Queue()
    told = (database_url, message.body, stage.now, barrier, results)
    processes = [spawn.Process(target=say_three_times, args=told) for _ in range(3)]
    for process in processes:
        process.start()
    fates = Counter([await asyncio.to_thread(results.get, True, 60) for _ in range(9)])
    for process in processes:
        await asyncio.to_thread(process.join, 30)
        assert process.exitcode == 0
    results.close()
    results.join_thread()
    assert fates == {"applied": 1, "duplicate": 8}
    assert len(await fetch(stage.database, "SELECT 1 FROM run")) == 1
    assert len(await fetch(stage.database, "SELECT 1 FROM attempt WHERE step = 'test'")) == 1
    # One entry for the fact, one for the unit that it completed, one for the order that this completed.
    assert len(await fetch(stage.database, "SELECT 1 FROM journal")) == before + 3


def say_three_times(url: str, body: bytes, at: datetime, barrier: Barrier, results: Any) -> None:
    """In a process of its own: settle a message three times, beginning when the others do."""

    async def say() -> None:
        database = Database(url, pool_size=3)
        (message,) = decode("ft-1", "run", body)
        assert isinstance(message, Message)
        await fetch(database, "SELECT 1")
        await asyncio.to_thread(barrier.wait, 60)
        for (one,) in await asyncio.gather(*(settle(database, [message], at) for _ in range(3))):
            results.put(one.fate)
        await database.close()

    asyncio.run(say())
