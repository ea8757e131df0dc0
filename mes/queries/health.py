"""What shows whether the floor's record is keeping up."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.sequencer import unnumbered


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
    SELECT next_position,
           (SELECT count(*) FROM message WHERE fate = 'pending') AS pending,
           (SELECT count(*) FROM message WHERE fate = 'rejected') AS rejected
    FROM ledger_head
    """
)


async def vitals(connection: AsyncConnection) -> Vitals:
    """The numbers that an alarm should watch."""
    stored = (await connection.execute(_VITALS)).one()
    waiting = await unnumbered(connection)
    return Vitals(stored.next_position, waiting.entries, waiting.oldest_age_s, stored.pending, stored.rejected)
