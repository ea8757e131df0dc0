"""Feeds: how far each has come in the journal, and what keeps it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class FeedProgress:
    """A feed's cursor. `behind` counts entries still to come; `failing_since` is null while it can deliver."""

    name: str
    position: int
    behind: int
    moved_at: datetime
    failing_since: datetime | None
    problem: str | None


_ALL = text(
    """
    SELECT f.name, f.position, greatest(h.next_position - 1 - f.position, 0), f.moved_at, f.failing_since, f.problem
    FROM feed f, ledger_head h ORDER BY f.name
    """
)


async def feeds_progress(connection: AsyncConnection) -> list[FeedProgress]:
    """Every feed that was ever on."""
    return [FeedProgress(*row) for row in await connection.execute(_ALL)]
