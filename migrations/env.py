"""Alembic's entry: runs the migrations over asyncpg, in one transaction, one runner at a time."""

import asyncio

from alembic import context
from sqlalchemy import text
from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.engine import Connection

from mes.db.session import Database
from mes.db.tables import Xid8, metadata

ischema_names["xid8"] = Xid8


def _is_ours(name: str | None, kind: str, parents: object) -> bool:
    """Partitions come and go; comparing the schema with the model leaves them out."""
    return kind != "table" or name in metadata.tables


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=False, include_name=_is_ours
    )
    with context.begin_transaction():
        # Two starting processes may migrate at once: the second waits here and then finds nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('mes.migrate'))"))
        context.run_migrations()


async def _migrate(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    try:
        async with database.engine.connect() as connection:
            await connection.run_sync(_run)
            await connection.commit()
    finally:
        await database.close()


asyncio.run(_migrate(context.config.attributes["database_url"]))
