"""Bare unit and installation rows for tests of the schema."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import Range
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import tables
from mes.db.journal import new_id
from mes.db.keys import key_text
from mes.domain.facts import Key

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def hour(number: float) -> datetime:
    """A moment of the day of these tests."""
    return AT.replace(hour=int(number), minute=int(number % 1 * 60))


async def add_unit(connection: AsyncConnection, serial: str = "SN-1") -> str:
    """A unit row; its id."""
    unit = new_id()
    await connection.execute(
        tables.unit.insert(),
        {"id": unit, "part": "TRAY", "serial": serial, "state": "created", "progress": "{}", "created_at": AT},
    )
    return unit


async def add_installation(
    connection: AsyncConnection, parent: str, position: str, since: float, until: float | None = None, **columns: Any
) -> str:
    """An installation row from one hour to another (or still); its id. It holds a new child unless told another."""
    row = {
        "id": new_id(),
        "parent_id": parent,
        "position": position,
        "child_id": new_id(),
        "lot_id": None,
        "part": "GPU",
        "during": Range(hour(since), None if until is None else hour(until)),
        "recorded_at": AT,
        "superseded_at": None,
        "installed_key": key_text(Key(hour(since), 0, "stations/st-01", f"{parent}/{position}")),
        "deviations": [],
    }
    await connection.execute(tables.installation.insert(), row | columns)
    return str(row["id"])


async def settle(connection: AsyncConnection) -> None:
    """Have deferred constraints checked now."""
    await connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
