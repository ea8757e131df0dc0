"""Bring a database's schema to this version: Alembic, configured here and in pyproject."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

import mes
from mes.db.partitions import make_partitions
from mes.db.session import Database


def migrations_dir() -> Path:
    """Where the migrations are: inside an installed wheel, or beside the package in a checkout."""
    package = Path(mes.__file__).parent
    bundled = package / "_bundled" / "migrations"
    return bundled if bundled.is_dir() else package.parent / "migrations"


def alembic_config(database_url: str) -> Config:
    """Alembic's configuration for one database; no ini file is needed."""
    config = Config()
    config.set_main_option("script_location", str(migrations_dir()).replace("%", "%%"))
    config.attributes["database_url"] = database_url
    return config


def upgrade(database_url: str) -> None:
    """Migrate to the newest version and make partitions ahead. Safe to repeat and to run twice at once.

    Runs its own event loop: from async code call it in a thread.
    """
    command.upgrade(alembic_config(database_url), "head")
    asyncio.run(_make_partitions(database_url))


async def _make_partitions(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    try:
        async with database.transaction() as connection:
            await make_partitions(connection, datetime.now(UTC))
    finally:
        await database.close()


async def pending(database: Database) -> list[str]:
    """Revisions that the database still lacks, oldest first; empty when it is up to date."""
    script = ScriptDirectory.from_config(alembic_config(database.url))
    async with database.engine.connect() as connection:
        exists = (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar()
        known = set()
        if exists:
            known = set((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars())
    done = {one.revision for head in known for one in script.iterate_revisions(head, "base")}
    return [one.revision for one in reversed(list(script.walk_revisions())) if one.revision not in done]
