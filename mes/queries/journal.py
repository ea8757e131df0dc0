"""The journal as it is read: exact bodies with their positions, in order, none ever behind a cursor."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.queries.pages import Page, after, cut

_SLICE = text(
    """
    SELECT p.position, j.body FROM journal_position p JOIN journal j ON j.id = p.entry_id
    WHERE p.position > :after ORDER BY p.position LIMIT :limit
    """
)
_OF_SUBJECT = text(
    """
    SELECT s.number, p.position, j.body
    FROM journal_subject s JOIN journal j ON j.id = s.entry_id LEFT JOIN journal_position p ON p.entry_id = j.id
    WHERE s.subject_id = :subject AND s.number > :after ORDER BY s.number LIMIT :limit
    """
)
_NEWEST = text(
    """
    SELECT s.number, p.position, j.body
    FROM journal_subject s JOIN journal j ON j.id = s.entry_id LEFT JOIN journal_position p ON p.entry_id = j.id
    WHERE s.subject_id = :subject AND s.number < :before ORDER BY s.number DESC LIMIT :limit
    """
)
_NUMBER_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class PositionedEntry:
    """An entry's exact body and its position; None: written, and not numbered yet. `number` is its subject's own."""

    body: str
    position: int | None
    number: int = 0

    @property
    def as_json(self) -> str:
        """The entry as readers get it: its own members as stored, and `position`."""
        position = "null" if self.position is None else str(self.position)
        return f'{self.body[:-1]},"position":{position}}}'


def person_in(data: dict[str, Any]) -> int | None:
    """The number in an entry's data that stands for who decided it, or else for the operator."""
    number = data.get("by", data.get("fact", {}).get("what", {}).get("operator"))
    return int(number) if isinstance(number, int | str) and str(number).isdecimal() else None


def people_in(entries: Iterable[PositionedEntry]) -> set[int]:
    """The numbers that stand for people in entries."""
    found = (person_in(json.loads(one.body).get("data", {})) for one in entries)
    return {number for number in found if number is not None}


async def journal_slice(connection: AsyncConnection, after: int, limit: int) -> list[PositionedEntry]:
    """Entries with positions above `after`, in order."""
    rows = await connection.execute(_SLICE, {"after": after, "limit": limit})
    return [PositionedEntry(row.body, row.position) for row in rows]


async def entries_of_subject(
    connection: AsyncConnection, subject: str, limit: int, cursor: str | None
) -> tuple[list[PositionedEntry], str | None]:
    """Entries that name a unit, order, … in the order in which they were recorded, and the cursor to what follows."""
    (number,) = after(cursor)
    start = int(number) if number and number.isdecimal() and len(number) < 10 else 0
    rows = await connection.execute(_OF_SUBJECT, {"subject": subject, "after": start, "limit": limit + 1})
    page = cut(
        [PositionedEntry(row.body, row.position, row.number) for row in rows], limit, lambda one: (str(one.number),)
    )
    return page.items, page.next_cursor


async def newest_entries_of_subject(
    connection: AsyncConnection, subject: str, limit: int, cursor: str | None
) -> Page[PositionedEntry]:
    """The same entries from the newest back, as people read them."""
    (number,) = after(cursor)
    before = int(number) if number and number.isdecimal() and len(number) < 10 else _NUMBER_MAX
    rows = await connection.execute(_NEWEST, {"subject": subject, "before": before, "limit": limit + 1})
    found = [PositionedEntry(row.body, row.position, row.number) for row in rows]
    return cut(found, limit, lambda one: (str(one.number),))
