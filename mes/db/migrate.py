"""Bring a database's schema to this version: Alembic, configured here and in pyproject."""

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

import mes
from mes.db.partitions import make_partitions
from mes.db.session import Database

log = logging.getLogger(__name__)


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
            made = await make_partitions(connection, datetime.now(UTC))
        if made.put_off:
            log.warning("partitions are not made ahead yet, mes ingest will: %s", made.reasons)
    finally:
        await database.close()


class Schema(NamedTuple):
    """How a database's schema stands to this program.

    `missing` are revisions that it lacks, oldest first; `unknown` those it has and this program doesn't know: it was
    migrated by a newer version.
    """

    missing: list[str]
    unknown: list[str]


async def look_at_schema(database: Database) -> Schema:
    """Compare. Of an unknown schema nothing can be said to be missing."""
    script = ScriptDirectory.from_config(alembic_config(database.url))
    revisions = [one.revision for one in reversed(list(script.walk_revisions()))]
    heads = await _heads(database)
    if unknown := sorted(heads - set(revisions)):
        return Schema([], unknown)
    done = {one.revision for head in heads for one in script.iterate_revisions(head, "base")}
    return Schema([one for one in revisions if one not in done], [])


async def pending(database: Database) -> list[str]:
    """Why the schema is not of this version: the revisions that it lacks, oldest first. Empty: it is of this version.

    One that a newer version made is no schema to work on either: it is told by what it is and what to do.
    """
    missing, unknown = await look_at_schema(database)
    return missing or [f"{one} is newer than this program: install that version" for one in unknown]


async def _heads(database: Database) -> set[str]:
    """The newest revisions that the database has; none where it was never migrated."""
    async with database.engine.connect() as connection:
        if (await connection.execute(text("SELECT to_regclass('alembic_version')"))).scalar() is None:
            return set()
        return set((await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars())
