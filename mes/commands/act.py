"""Who does something, where and when: what every command is told besides its own arguments."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import moment


class Act(NamedTuple):
    """The site it is done at, the person or program that does it, and the moment it is done, as the edge read it.

    `happened_at`: when it really was, where an MES is loaded with history; never later than `at`.
    """

    site: str
    by: str
    at: datetime
    happened_at: datetime | None = None

    @property
    def when(self) -> datetime:
        """When it takes effect; `at` is when it is recorded."""
        return self.happened_at or self.at

    @property
    def dated(self) -> dict[str, str]:
        """What the journal says besides, of what is recorded later than it was."""
        return {"happened_at": moment(self.happened_at)} if self.happened_at else {}


_NUMBER_OF = text(
    """
    WITH known AS (SELECT number FROM operator WHERE name = :name),
         made AS (
             INSERT INTO operator (name) SELECT :name WHERE NOT EXISTS (SELECT FROM known)
             ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING number
         )
    SELECT number FROM known UNION ALL SELECT number FROM made
    """
)


async def number_of(connection: AsyncConnection, name: str) -> int:
    """The number that stands in the record for a person's or program's name, given on first use."""
    number: int = (await connection.execute(_NUMBER_OF, {"name": name})).scalar_one()
    return number
