"""Bare journal entries for tests that care about the order of the journal, not about what it says."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import sequencer
from mes.db.journal import Event, Head, Subject, compose, new_id, write
from mes.db.session import Database

AT = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


async def write_entries(connection: AsyncConnection, count: int = 1) -> list[str]:
    """Write entries about units that are nowhere else; their ids."""
    written = []
    for _ in range(count):
        unit = new_id()
        event = Event("mes.unit.created", [Subject("unit", unit, unit[-12:])])
        written.append(compose(event, {unit: Head(0, None)}, "test", AT))
    await write(connection, written, AT)
    return [one.id for one in written]


async def commit_entries(database: Database, count: int = 1) -> list[str]:
    """Write entries in a transaction of their own."""
    async with database.transaction() as connection:
        return await write_entries(connection, count)


async def number_all(database: Database) -> None:
    """Number until nothing is left."""
    while await sequencer.number(database):
        pass


async def positions(database: Database) -> dict[int, str]:
    """Entry ids by position, in order."""
    async with database.reading() as connection:
        rows = await connection.execute(text("SELECT position, entry_id::text FROM journal_position ORDER BY position"))
        return {row.position: row.entry_id for row in rows}


async def read_after(database: Database, cursor: int, limit: int) -> Sequence[tuple[int, str]]:
    """A reader's page: what is after a position."""
    async with database.reading() as connection:
        rows = await connection.execute(
            text(
                "SELECT position, entry_id::text FROM journal_position JOIN journal ON journal.id = entry_id "
                "WHERE position > :cursor ORDER BY position LIMIT :limit"
            ),
            {"cursor": cursor, "limit": limit},
        )
        return [(row.position, row.entry_id) for row in rows]


async def until_numbered(database: Database, count: int, within_s: float = 20.0) -> dict[int, str]:
    """Wait until so many entries have positions."""
    async with asyncio.timeout(within_s):
        while len(found := await positions(database)) < count:  # noqa: ASYNC110 - the database has no event for it
            await asyncio.sleep(0.02)
    return found


def assert_dense(found: dict[int, str], expected: Sequence[str]) -> None:
    """Every entry has exactly one position, and the positions are 0, 1, 2 …"""
    assert list(found) == list(range(len(expected)))
    assert sorted(found.values()) == sorted(expected)
