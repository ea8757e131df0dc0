"""A floor of its own for each test."""

from collections.abc import AsyncIterator

import pytest

from mes.db.session import Database
from tests.stage import Stage


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    database = Database(database_url)
    stage = Stage(database)
    await stage.set_up()
    yield stage
    await database.close()
