"""Being told by the database that something happened, instead of asking all the time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from mes.db.session import Database, driver


@asynccontextmanager
async def listening(database: Database, channel: str, heard: Callable[[], None]) -> AsyncIterator[Callable[[], bool]]:
    """Call `heard` at each notification, on a connection of its own, and give a question: is it still there?

    On a standby nothing can be listened to; then `heard` is never called, and who waits for it must ask by itself.
    """
    async with database.engine.connect() as connection:
        listener = await driver(connection)
        await connection.commit()
        try:
            await listener.add_listener(channel, lambda *_: heard())
        except asyncpg.ReadOnlySQLTransactionError:
            yield lambda: True
            return
        try:
            yield lambda: not listener.is_closed()
        finally:
            # It listens: it may not go back to the pool.
            await connection.invalidate()
