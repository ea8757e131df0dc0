"""A database with its pool, for the tests of this folder."""

from collections.abc import AsyncIterator

import pytest_asyncio

from mes.db.session import Database


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """The test's own migrated database."""
    opened = Database(database_url, pool_size=12)
    yield opened
    await opened.close()
