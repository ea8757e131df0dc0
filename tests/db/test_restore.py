"""A dump restored into another cluster: every cursor still sees every entry exactly once."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import text

from mes.db import sequencer
from mes.db.session import Database
from mes.embedded import binaries
from mes.embedded.postgres import Postgres
from tests.db.entries import assert_dense, commit_entries, number_all, positions, write_entries

BURNT = 3000
"""Transactions that one cluster is at least ahead of the other."""


@pytest_asyncio.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A second cluster, made for this test."""
    server = Postgres(tmp_path / "fresh", durable=False)
    await server.start()
    yield server
    await server.stop()


async def run_ahead(database: Database, other: Database) -> None:
    """Use up transaction numbers until a cluster is well ahead of another one."""
    # The session's own cluster may be anywhere by now: tests before this one used up transactions, too.
    count = BURNT + max(0, await next_xid(other) - await next_xid(database))
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "CREATE PROCEDURE burn(count int) LANGUAGE plpgsql AS $$ BEGIN "
                "FOR n IN 1..count LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
            )
        )
    async with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text(f"CALL burn({count})"))


async def next_xid(database: Database) -> int:
    async with database.reading() as connection:
        return int(
            (await connection.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))).scalar_one()
        )


def copy_database(programs: Path, origin: str, target: str) -> None:
    """What an operator does: pg_dump into psql."""
    dump = subprocess.run([programs / "pg_dump", "--dbname", origin], capture_output=True, check=True)
    psql = [programs / "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", target]
    subprocess.run(psql, input=dump.stdout, capture_output=True, check=True)


async def restore(origin: Database, target: Database, server: Postgres) -> None:
    programs = binaries.for_folder(server.cluster).folder
    await asyncio.to_thread(copy_database, programs, origin.url, target.url)


@pytest.mark.parametrize("ahead", ["origin", "target"])
async def test_restore_into_another_cluster(database: Database, fresh: Postgres, ahead: str) -> None:
    """Some entries were numbered and some not; new ones are written before the sequencer looks, and after."""
    target = Database(fresh.url)
    try:
        first, second = (database, target) if ahead == "origin" else (target, database)
        await run_ahead(first, second)
        numbered = await commit_entries(database, 30)
        await number_all(database)
        waiting = await commit_entries(database, 20)
        await restore(database, target, fresh)
        assert (await next_xid(database) > await next_xid(target)) == (ahead == "origin")

        before = await positions(target)
        early = await commit_entries(target, 5)
        await number_all(target)
        late = []
        for _ in range(3):
            late += await commit_entries(target, 4)
            await number_all(target)
        after = await positions(target)
    finally:
        await target.close()
    assert_dense(after, numbered + waiting + early + late)
    assert list(before.values()) == numbered
    assert [after[position] for position in before] == numbered, "an old position changed"
    assert list(after.values()) == numbered + waiting + early + late


async def test_writer_that_is_open_when_the_era_changes_is_waited_for(database: Database, fresh: Postgres) -> None:
    target = Database(fresh.url)
    try:
        await run_ahead(database, target)
        written = await commit_entries(database, 3)
        await restore(database, target, fresh)
        async with target.engine.connect() as open_writer, target.engine.connect() as quiet_writer:
            written += await write_entries(open_writer)
            await quiet_writer.execute(text("SELECT pg_current_xact_id()"))
            numbering = asyncio.create_task(sequencer.number(target))
            await asyncio.sleep(0.3)
            assert not numbering.done()
            await open_writer.commit()
            assert await numbering == 4
            written += await write_entries(quiet_writer)
            await quiet_writer.commit()
        await number_all(target)
        assert_dense(await positions(target), written)
    finally:
        await target.close()


async def test_second_restore_begins_a_third_era(database: Database, fresh: Postgres, empty_database_url: str) -> None:
    """There and back again: the first cluster's identifier is known, but not the one of the era."""
    there, back = Database(fresh.url), Database(empty_database_url)
    try:
        written = await commit_entries(database, 2)
        await restore(database, there, fresh)
        written += await commit_entries(there, 2)
        await number_all(there)
        await restore(there, back, fresh)
        written += await commit_entries(back, 2)
        await number_all(back)
        assert_dense(await positions(back), written)
        async with back.reading() as connection:
            assert (await connection.execute(text("SELECT era FROM ledger_head"))).scalar_one() == 3
    finally:
        await there.close()
        await back.close()


async def test_copy_from_a_cloned_cluster_that_is_ahead_is_noticed(database: Database) -> None:
    """A clone has the same identifier: entries of transactions that are still to come here betray it."""
    old = await commit_entries(database, 2)
    async with database.transaction() as connection:
        await connection.execute(
            text(
                "INSERT INTO journal (id, xid, recorded_at, type, body) "
                "SELECT gen_random_uuid(), (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000)::text::xid8, "
                "now(), 'mes.unit.created', '{}' RETURNING id"
            )
        )
    new = await commit_entries(database, 2)
    await number_all(database)
    found = await positions(database)
    assert len(found) == 5
    assert set(old + new) < set(found.values())
    late = await commit_entries(database)
    await number_all(database)
    assert (await positions(database))[5] == late[0]
