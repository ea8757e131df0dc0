"""The pages on a real database, with somebody of every role who can log in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from mes.app import create_app
from mes.commands.access import PEOPLE
from mes.commands.logins import open_login
from mes.db import tables
from mes.db.session import Database
from mes.settings import Settings
from tests.web.visitor import Visitor


@pytest.fixture
async def visitor(database: Database) -> AsyncIterator[Visitor]:
    """A browser without a page yet, and a login of every role."""
    at = datetime.now(UTC)
    async with database.transaction() as connection:
        for role in PEOPLE:
            # No password: hashing one takes longer than the test, and logging in has tests of its own.
            values = {"name": role, "password_hash": "!", "roles": [role], "created_at": at}
            await connection.execute(tables.account.insert().values(values))
        logins = {role: await open_login(connection, role, at=at) for role in sorted(PEOPLE)}
    app = create_app(database, Settings())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://mes") as client:
        yield Visitor(app, database, client, logins)
