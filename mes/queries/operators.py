"""Names of operators: the record holds numbers, and a name that was erased stays a number."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_NAMES = text("SELECT number, name FROM operator WHERE number = ANY(CAST(:numbers AS int[])) AND name IS NOT NULL")


async def operator_names(connection: AsyncConnection, numbers: Iterable[int]) -> dict[int, str]:
    """The names behind numbers; those that were erased are left out."""
    wanted = sorted(set(numbers))
    if not wanted:
        return {}
    return {row.number: row.name for row in await connection.execute(_NAMES, {"numbers": wanted})}
