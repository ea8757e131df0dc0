"""What shows whether the floor's record is keeping up."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


@dataclass(frozen=True, slots=True)
class Vitals:
    """Journal entries numbered and not yet numbered, the age of the oldest of these, messages that wait."""

    journal_entries: int
    journal_unnumbered: int
    oldest_unnumbered_s: float
    messages_pending: int
    messages_rejected: int


_VITALS = text(
    """
    SELECT head.next_position, waiting.entries, waiting.age_s,
           (SELECT count(*) FROM message WHERE fate = 'pending'),
           (SELECT count(*) FROM message WHERE fate = 'rejected')
    FROM ledger_head head
    CROSS JOIN LATERAL (
        SELECT count(*) AS entries, coalesce(extract(epoch FROM now() - min(j.recorded_at)), 0)::float8 AS age_s
        FROM journal j LEFT JOIN journal_position p ON p.entry_id = j.id
        WHERE j.xid >= head.xid AND p.entry_id IS NULL
    ) AS waiting
    """
)


async def vitals(connection: AsyncConnection) -> Vitals:
    """The numbers that an alarm should watch."""
    return Vitals(*(await connection.execute(_VITALS)).one())
