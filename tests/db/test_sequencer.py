"""Positions are dense, final and complete, whatever writers, readers, other sequencers and crashes do."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from sqlalchemy import text

from mes.db import sequencer
from mes.db.session import Database
from tests.db.entries import (
    assert_dense,
    commit_entries,
    number_all,
    positions,
    read_after,
    until_numbered,
    write_entries,
)


@asynccontextmanager
async def sequencers(database: Database, count: int = 1) -> AsyncIterator[list[asyncio.Task[None]]]:
    """So many sequencers at work for as long as the block lasts."""
    tasks = [asyncio.create_task(sequencer.run(database)) for _ in range(count)]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def test_entries_are_numbered_from_zero(database: Database) -> None:
    first = await commit_entries(database, 3)
    assert await sequencer.number(database) == 3
    second = await commit_entries(database, 2)
    assert await sequencer.number(database) == 2
    assert await sequencer.number(database) == 0
    assert list((await positions(database)).values()) == first + second


async def test_limit_splits_a_transaction_without_losing_its_rest(database: Database) -> None:
    written = await commit_entries(database, 25)
    assert [await sequencer.number(database, limit=10) for _ in range(4)] == [10, 10, 5, 0]
    assert list((await positions(database)).values()) == written


async def test_older_transaction_that_commits_later_is_not_overtaken(database: Database) -> None:
    """The lower xid is open while the higher commits: a cursor that took the higher would lose the lower."""
    async with database.engine.connect() as older:
        first = await write_entries(older)
        second = await commit_entries(database)
        assert await sequencer.number(database) == 0
        await older.commit()
    await number_all(database)
    assert list((await positions(database)).values()) == first + second


async def test_newer_transaction_that_stays_open_does_not_hold_up_the_older(database: Database) -> None:
    async with database.engine.connect() as older, database.engine.connect() as newer:
        first = await write_entries(older)
        second = await write_entries(newer)
        await older.commit()
        assert await sequencer.number(database) == 1
        assert list((await positions(database)).values()) == first
        await newer.commit()
    await number_all(database)
    assert list((await positions(database)).values()) == first + second


async def test_xid_decides_not_the_moment_of_the_first_entry(database: Database) -> None:
    """The older transaction has its number from an earlier write, and writes its entry after the newer has ended."""
    async with database.engine.connect() as older:
        await older.execute(text("SELECT pg_current_xact_id()"))
        second = await commit_entries(database)
        assert await sequencer.number(database) == 0
        first = await write_entries(older)
        await older.commit()
    await number_all(database)
    assert list((await positions(database)).values()) == first + second


async def test_rolled_back_entries_leave_no_hole(database: Database) -> None:
    written = []
    for turn in range(6):
        async with database.engine.connect() as connection:
            ids = await write_entries(connection, 2)
            await (connection.rollback() if turn % 2 else connection.commit())
            written += [] if turn % 2 else ids
    await number_all(database)
    assert_dense(await positions(database), written)


async def test_entries_of_savepoints_are_numbered_with_their_transaction(database: Database) -> None:
    async with database.transaction() as connection:
        kept = await write_entries(connection)
        with contextlib.suppress(ZeroDivisionError):
            async with connection.begin_nested():
                await write_entries(connection)
                raise ZeroDivisionError
        async with connection.begin_nested():
            kept += await write_entries(connection)
    await number_all(database)
    assert_dense(await positions(database), kept)


async def test_writer_in_another_database_of_the_server_only_delays(
    database: Database, empty_database_url: str
) -> None:
    elsewhere = await asyncpg.connect(empty_database_url)
    transaction = elsewhere.transaction()
    await transaction.start()
    await elsewhere.execute("CREATE TABLE held_open (id int)")
    written = await commit_entries(database, 2)
    assert await sequencer.number(database) == 0
    await transaction.commit()
    await elsewhere.close()
    await number_all(database)
    assert_dense(await positions(database), written)


async def test_only_one_numbers_at_a_time(database: Database) -> None:
    written = await commit_entries(database, 5)
    async with database.engine.connect() as first, first.begin():
        assert await sequencer._number(first, 3) == 3
        assert await sequencer.number(database) == 0
    assert await sequencer.number(database) == 2
    assert_dense(await positions(database), written)


async def test_reader_sees_every_entry_once_while_all_work_at_once(database: Database) -> None:
    """Eight writers that commit, linger or roll back, two sequencers, and a reader that pages behind them."""
    chance = random.Random(7)
    done = asyncio.Event()

    async def writer() -> list[str]:
        mine: list[str] = []
        for _ in range(25):
            async with database.engine.connect() as connection:
                ids = await write_entries(connection, chance.randint(1, 3))
                await asyncio.sleep(chance.random() * 0.01)
                if chance.random() < 0.2:
                    await connection.rollback()
                else:
                    await connection.commit()
                    mine += ids
        return mine

    async def reader() -> dict[int, str]:
        seen: dict[int, str] = {}
        idle_after_done = 0
        while idle_after_done < 100:
            page = await read_after(database, max(seen, default=-1), limit=7)
            for position, entry_id in page:
                assert position not in seen
                seen[position] = entry_id
            idle_after_done += done.is_set() and not page
            await asyncio.sleep(0 if page else 0.01)
        return seen

    async with sequencers(database, 2):
        reading = asyncio.create_task(reader())
        written = [one for mine in await asyncio.gather(*(writer() for _ in range(8))) for one in mine]
        await until_numbered(database, len(written))
        done.set()
        seen = await reading
    assert_dense(seen, written)


async def test_notification_wakes_the_sequencer(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequencer, "TIMER_S", 600.0)
    async with sequencers(database):
        await until_numbered(database, len(await commit_entries(database)))
        await until_numbered(database, 1 + len(await commit_entries(database)), within_s=5.0)


async def test_timer_finds_what_no_notification_told(database: Database) -> None:
    """Entries that wait for another's transaction: its end notifies nobody."""
    async with sequencers(database):
        async with database.engine.connect() as holder:
            await holder.execute(text("SELECT pg_current_xact_id()"))
            written = await commit_entries(database, 2)
            await asyncio.sleep(0.3)
            assert await positions(database) == {}
            await holder.rollback()
        assert_dense(await until_numbered(database, 2), written)


async def test_listeners_hear_that_positions_were_given(database: Database, database_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    listener = await asyncpg.connect(database_url)
    await listener.add_listener(sequencer.NUMBERED, lambda *told: heard.put_nowait(str(told[-1])))
    await commit_entries(database, 4)
    await sequencer.number(database)
    async with asyncio.timeout(20):
        assert await heard.get() == "4"
    await listener.close()


async def test_sequencer_that_loses_its_connection_comes_back(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "RECONNECT_S", 0.05)
    async with sequencers(database):
        written = await commit_entries(database, 2)
        await until_numbered(database, 2)
        for _ in range(3):
            async with database.transaction() as connection:
                killed = await connection.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                    )
                )
                assert killed.scalars().all()
            written += await commit_entries(database, 3)
            assert_dense(await until_numbered(database, len(written)), written)


async def test_sequencer_killed_midway_leaves_nothing_half_done(database: Database) -> None:
    written = await commit_entries(database, 5)
    async with database.engine.connect() as victim:
        await victim.begin()
        assert await sequencer._number(victim, 3) == 3
        pid = (await victim.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        async with database.transaction() as killer:
            await killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        await victim.invalidate()
    assert await positions(database) == {}
    await number_all(database)
    assert_dense(await positions(database), written)


async def test_backlog_tells_what_waits(database: Database) -> None:
    async with database.reading() as connection:
        assert await sequencer.unnumbered(connection) == (0, 0.0)
    async with database.engine.connect() as holder:
        await holder.execute(text("SELECT pg_current_xact_id()"))
        await commit_entries(database, 3)
        await number_all(database)
        async with database.reading() as connection:
            waiting = await sequencer.unnumbered(connection)
        assert waiting.entries == 3
        assert waiting.oldest_age_s > 0
        await holder.rollback()
    await number_all(database)
    async with database.reading() as connection:
        assert await sequencer.unnumbered(connection) == (0, 0.0)
