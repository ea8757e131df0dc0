"""What shows whether the floor's record is keeping up."""

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.sequencer import unnumbered
from mes.domain.clock import SET_FROM


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
    SELECT (SELECT next_position FROM ledger_head),
           (SELECT count(*) FROM message WHERE fate = 'pending'),
           (SELECT count(*) FROM message WHERE fate = 'rejected')
    """
)


async def vitals(connection: AsyncConnection) -> Vitals:
    """The numbers that an alarm should watch."""
    numbered, pending, rejected = (await connection.execute(_VITALS)).one()
    backlog = await unnumbered(connection)
    return Vitals(numbered, backlog.entries, backlog.oldest_age_s, pending, rejected)


_WRONG = text(
    """
    SELECT name, clock_skew_s FROM station
    WHERE site = :site AND (clock_skew_s > :more_than_s OR heard_at + clock_skew_s * INTERVAL '1 s' < :set_from)
    ORDER BY abs(clock_skew_s) DESC, name
    LIMIT :limit
    """
)


async def clocks_wrong(
    connection: AsyncConnection, site: str, more_than_s: float, limit: int = 100
) -> list[tuple[str, float]]:
    """Stations whose clock is ahead of ours or was never set, the worst first, with the seconds (less than 0: behind).

    One that seems somewhat behind may just have sent late; one that is ahead speaks of the future.
    """
    asked = {"site": site, "more_than_s": more_than_s, "limit": limit, "set_from": SET_FROM}
    return [(row.name, row.clock_skew_s) for row in await connection.execute(_WRONG, asked)]
