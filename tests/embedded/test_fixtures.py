"""The fixtures keep what they promise."""

import asyncpg

from mes.embedded.broker import answers


async def test_database_is_this_tests_own(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE only_here (id int)")
    await connection.close()


async def test_database_holds_nothing_of_another_test(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT to_regclass('only_here')") is None
    await connection.close()


async def test_database_that_is_still_in_use_is_dropped(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0
    connection.terminate()


async def test_broker_answers(broker_url: str) -> None:
    assert await answers(int(broker_url.rpartition(":")[2]))
