"""The application on a real database, with a token of every role."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest

from mes.app import create_app
from mes.commands.access import ROLES, add_token
from mes.commands.act import Act
from mes.commands.lines import StationOfLine, add_station
from mes.db.session import Database
from mes.settings import Settings
from tests.rest.floor import Floor


@pytest.fixture
async def floor(database: Database) -> AsyncIterator[Floor]:
    """A client of the application; calls as admin unless another role is named."""
    at = datetime.now(UTC)
    tokens = {}
    async with database.transaction() as connection:
        await add_station(connection, "L1", StationOfLine("st-01", "bench"), Act("main", "set-up", at))
        for role in ROLES:
            station = "st-01" if role == "station" else None
            tokens[role] = await add_token(connection, f"{role}-token", role, station, at=at)
    app = create_app(database, Settings(body_max_bytes=200_000))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://mes") as client:
        yield Floor(app, database, client, tokens)
