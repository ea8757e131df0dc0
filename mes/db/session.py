"""Connections and transactions. An edge opens one with `async with`; it is committed when the block ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

IDLE_IN_TRANSACTION_MS = 30_000
"""A writer that sits in an open transaction holds up the numbering of the journal; longer than this it is ended."""
LOCK_TIMEOUT_MS = 10_000


class Database:
    """A pool of connections to the system of record."""

    def __init__(self, url: str, *, site: str = "main", pool_size: int = 5) -> None:
        self.url = url
        self.site = site
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=2 * pool_size,
            pool_pre_ping=True,
            connect_args={
                "server_settings": {
                    "application_name": "mes",
                    "mes.site": site,
                    "timezone": "UTC",
                    "jit": "off",
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
                }
            },
        )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """One writing transaction: committed at the end of the block, rolled back if it raises."""
        async with self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A read-only snapshot: every statement in the block sees the same moment, also on a replica."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield connection

    async def close(self) -> None:
        """Give every connection back to the server."""
        await self.engine.dispose()


async def driver(connection: AsyncConnection) -> Any:
    """The asyncpg connection underneath, inside the same transaction: for COPY and the hottest statements."""
    raw = (await connection.get_raw_connection()).driver_connection
    if raw is not None and not raw.is_in_transaction():
        # SQLAlchemy begins at its first statement; what the driver did before would commit by itself.
        await connection.execute(text("SELECT 1"))
    return raw
