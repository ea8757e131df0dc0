"""Migrations lead from nothing to exactly what `mes.db.tables` says, and back."""

import asyncio
import sys
from datetime import UTC, datetime

import pytest
from alembic import command
from sqlalchemy import text

from mes.db.migrate import alembic_config, pending, upgrade
from mes.db.session import Database
from mes.db.tables import metadata


async def tables_of(url: str) -> set[str]:
    """Names of the ordinary and partitioned tables of a database, partitions left out."""
    database = Database(url, pool_size=1)
    try:
        async with database.reading() as connection:
            rows = await connection.execute(
                text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "AND relkind IN ('r', 'p') AND NOT relispartition"
                )
            )
            return set(rows.scalars())
    finally:
        await database.close()


async def pending_of(url: str) -> list[str]:
    database = Database(url, pool_size=1)
    try:
        return await pending(database)
    finally:
        await database.close()


def test_migrations_and_model_are_the_same(database_url: str) -> None:
    """If this fails: `alembic revision --autogenerate`, or edit the migration that is not released yet."""
    command.check(alembic_config(database_url))


async def test_upgrade_makes_every_table(empty_database_url: str) -> None:
    assert await pending_of(empty_database_url) != []
    await asyncio.to_thread(upgrade, empty_database_url)
    assert await tables_of(empty_database_url) == {*metadata.tables, "alembic_version"}
    assert await pending_of(empty_database_url) == []


async def test_upgrade_makes_this_months_partitions(database: Database) -> None:
    async with database.reading() as connection:
        found = await connection.execute(text("SELECT to_regclass(:name)"), {"name": f"run_{datetime.now(UTC):%Y_%m}"})
        assert found.scalar_one() is not None


def test_upgrade_twice_changes_nothing(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    upgrade(empty_database_url)
    command.check(alembic_config(empty_database_url))


async def test_two_may_upgrade_at_once(empty_database_url: str) -> None:
    program = "import sys; from mes.db.migrate import upgrade; upgrade(sys.argv[1])"
    both = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, empty_database_url) for _ in range(2)]
    assert [await one.wait() for one in both] == [0, 0]
    assert await tables_of(empty_database_url) == {*metadata.tables, "alembic_version"}


async def test_downgrade_leaves_nothing_and_upgrade_comes_back(empty_database_url: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url)
    await asyncio.to_thread(command.downgrade, alembic_config(empty_database_url), "base")
    assert await tables_of(empty_database_url) == {"alembic_version"}
    await asyncio.to_thread(upgrade, empty_database_url)
    await asyncio.to_thread(command.check, alembic_config(empty_database_url))


@pytest.mark.parametrize("name", ["mes_append_only"])
async def test_downgrade_drops_functions_too(empty_database_url: str, name: str) -> None:
    await asyncio.to_thread(upgrade, empty_database_url)
    await asyncio.to_thread(command.downgrade, alembic_config(empty_database_url), "base")
    database = Database(empty_database_url, pool_size=1)
    async with database.reading() as connection:
        found = await connection.execute(text("SELECT count(*) FROM pg_proc WHERE proname = :name"), {"name": name})
        assert found.scalar_one() == 0
    await database.close()
