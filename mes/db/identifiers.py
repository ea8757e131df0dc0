"""What is printed on units, over time."""

from collections.abc import Collection
from datetime import datetime

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver

SERIAL = "serial"


async def taken(
    connection: AsyncConnection, unit_id: str, identifiers: Collection[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Which identifiers another unit of the same part and maker carries now."""
    rows = await (await driver(connection)).fetch(
        """
        SELECT i.kind, i.value FROM identifier i
        JOIN unit u ON u.id = $1 AND i.part = u.part AND i.maker = u.maker
        JOIN unnest($2::text[], $3::text[]) AS n (kind, value) ON n.kind = i.kind AND n.value = i.value
        WHERE upper_inf(i.during) AND i.unit_id <> u.id
        """,
        unit_id,
        [kind for kind, _ in identifiers],
        [value for _, value in identifiers],
    )
    return [(row["kind"], row["value"]) for row in rows]


async def identify(
    connection: AsyncConnection, unit_id: str, identifiers: Collection[tuple[str, str]], at: datetime
) -> None:
    """Note what a unit carries from `at` on: a new serial closes the old one, other kinds are added."""
    raw = await driver(connection)
    for kind, value in identifiers:
        if kind == SERIAL:
            await _relabel(raw, unit_id, value, at)
            continue
        await raw.execute(
            """
            INSERT INTO identifier (id, unit_id, kind, part, maker, value, during)
            SELECT $1, u.id, $3, u.part, u.maker, $4, tstzrange($5, NULL) FROM unit u
            WHERE u.id = $2 AND NOT EXISTS (
                SELECT FROM identifier i WHERE i.unit_id = u.id AND i.kind = $3 AND i.value = $4)
            """,
            new_id(),
            unit_id,
            kind,
            value,
            at,
        )


async def _relabel(raw: asyncpg.Connection, unit_id: str, value: str, at: datetime) -> None:
    """Put a serial in its place among the unit's serials by time, so that the order of arrival never matters."""
    rows = await raw.fetch(
        "SELECT id, value, lower(during) AS since FROM identifier WHERE unit_id = $1 AND kind = $2 ORDER BY during",
        unit_id,
        SERIAL,
    )
    labels: dict[datetime | None, tuple[str, str]] = {}
    for index, row in enumerate(rows):
        # The first label was there from the beginning, whenever the unit became known to us.
        labels[row["since"] if index else None] = (str(row["id"]), row["value"])
    added = new_id()
    labels[at] = (added, value)
    ordered = sorted(labels.items(), key=lambda item: (item[0] is not None, item[0] or at))
    for index, (since, (row_id, text)) in enumerate(ordered):
        until = ordered[index + 1][0] if index + 1 < len(ordered) else None
        during = asyncpg.Range(since, until)
        if row_id != added:
            await raw.execute("UPDATE identifier SET during = $2 WHERE id = $1", row_id, during)
            continue
        await raw.execute(
            """
            INSERT INTO identifier (id, unit_id, kind, part, maker, value, during)
            SELECT $1, u.id, $3, u.part, u.maker, $4, $5 FROM unit u WHERE u.id = $2
            """,
            row_id,
            unit_id,
            SERIAL,
            text,
            during,
        )
    await raw.execute("UPDATE unit SET serial = $2 WHERE id = $1", unit_id, ordered[-1][1][1])
