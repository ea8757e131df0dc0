"""Holds as the fold needs them: of any time, for the things that entries touch."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.session import driver
from mes.domain.hold import Hold


async def holds_on(connection: AsyncConnection, keys: Iterable[str]) -> list[Hold]:
    """Every hold, released or not, on any of the keys (unit and lot ids, parts, order numbers) or on any station."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT id::text, scope, key, reason, lower(during), upper(during) FROM hold
        WHERE key = ANY($1::text[]) OR scope = 'station' ORDER BY id
        """,
        list(set(keys)),
    )
    return [Hold(*row.values()) for row in rows]
