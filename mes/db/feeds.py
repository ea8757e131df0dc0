"""Feeds' cursors over the journal. A feed's cursor moves only after what it stands for was done."""

from datetime import datetime
from typing import Final

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import tables

START: Final = -1
"""The position of a feed that has seen nothing."""
PROBLEM_MAX: Final = 1000
"""Most characters that are kept of what keeps a feed."""

_LOCK = text("SELECT pg_try_advisory_lock(hashtext('mes.feed'), hashtext(:name))")


async def lock(connection: AsyncConnection, name: str) -> bool:
    """Whether this connection is the one that serves a feed, from now until it ends."""
    return bool((await connection.execute(_LOCK, {"name": name})).scalar_one())


async def position_of(connection: AsyncConnection, name: str) -> int:
    """The position of the last entry that a feed is done with; START for one that never moved."""
    found = select(tables.feed.c.position).where(tables.feed.c.name == name)
    position: int | None = (await connection.execute(found)).scalar_one_or_none()
    return START if position is None else position


async def move(connection: AsyncConnection, name: str, position: int, at: datetime) -> None:
    """A feed is done with everything up to a position, or shall go on behind it."""
    values = {"position": position, "moved_at": at, "failing_since": None, "problem": None}
    statement = insert(tables.feed).values(name=name, **values)
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


async def note_problem(connection: AsyncConnection, name: str, problem: str, at: datetime) -> None:
    """What comes next could not be delivered."""
    told = problem[:PROBLEM_MAX].replace("\0", "")
    values = {"name": name, "position": START, "moved_at": at, "failing_since": at, "problem": told}
    statement = insert(tables.feed).values(values)
    since = func.coalesce(tables.feed.c.failing_since, at)
    changed = {"failing_since": since, "problem": told}
    await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))
