"""Who does something, where and when: what every command is told besides its own arguments."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Act(NamedTuple):
    """The site it is done at, the person or program that does it, and the moment it is done, as the edge read it."""

    site: str
    by: str
    at: datetime


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
