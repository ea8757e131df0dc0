"""Connections and transactions. An edge opens one with `async with`; it is committed when the block ends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

IDLE_IN_TRANSACTION_MS = 30_000
"""A writer that sits in an open transaction holds up the numbering of the journal; longer than this it is ended."""
LOCK_TIMEOUT_MS = 10_000
DIRECT_MAX = 8
"""Most direct connections of a process: few, for what they are for takes milliseconds and waits its turn."""
DIRECT_TIMEOUT_S = 15.0
"""How long a direct connection and each statement on it may take: longer than one may wait for a lock."""


_DRIVER = "mes.driver"
"""Where a connection keeps it, which is asked for twenty times in a batch."""


class Database:
    """A pool of connections to the system of record."""

    def __init__(self, url: str, *, site: str = "main", pool_size: int = 5) -> None:
        self.url = url
        self.site = site
        self._server_settings = {
            "application_name": "mes",
            "mes.site": site,
            "timezone": "UTC",
            "jit": "off",
            "lock_timeout": str(LOCK_TIMEOUT_MS),
            "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_MS),
        }
        self.engine: AsyncEngine = create_async_engine(
            make_url(url).set(drivername="postgresql+asyncpg"),
            pool_size=pool_size,
            max_overflow=2 * pool_size,
            pool_pre_ping=True,
            connect_args={"server_settings": self._server_settings},
        )
        self._direct: asyncpg.Pool | None = None

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

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[asyncpg.Connection]:
        """The driver's own connection, where each statement is a transaction by itself: one round trip, all told.

        For the few statements that somebody waits for in milliseconds. What was prepared on it stays prepared, with
        the plan that was made first, and it is not tried before it is given: a statement that fails because the
        connection went away is the caller's to say again.
        """
        if self._direct is None:
            self._direct = self._make_direct()
        await self._direct  # makes nothing yet, and so never waits
        async with self._direct.acquire() as connection:
            yield connection

    def _make_direct(self) -> asyncpg.Pool:
        """Connections are made when they are first needed, and kept."""
        _, to_database = self.engine.dialect.create_connect_args(self.engine.url)
        return asyncpg.create_pool(
            **to_database,
            server_settings={**self._server_settings, "plan_cache_mode": "force_generic_plan"},
            min_size=0,
            max_size=DIRECT_MAX,
            max_inactive_connection_lifetime=0,
            max_cached_statement_lifetime=0,
            timeout=DIRECT_TIMEOUT_S,
            command_timeout=DIRECT_TIMEOUT_S,
            reset=_as_it_is,
        )

    async def close(self) -> None:
        """Give every connection back to the server."""
        if self._direct is not None:
            await self._direct.close()
        await self.engine.dispose()


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    """Nothing is set on a direct connection, so nothing has to be set back, which would be a round trip."""


async def driver(connection: AsyncConnection) -> Any:
    """The asyncpg connection underneath, inside the same transaction: for COPY and the hottest statements."""
    raw = connection.info.get(_DRIVER)
    if raw is None:
        raw = connection.info[_DRIVER] = (await connection.get_raw_connection()).driver_connection
    if raw is not None and not raw.is_in_transaction():
        # SQLAlchemy begins at its first statement; what the driver did before would commit by itself.
        await connection.execute(text("SELECT 1"))
    return raw
