"""Monthly partitions of the tables whose key is a UUIDv7 made at receipt: its first 48 bits are milliseconds.

Partitioning by the key itself keeps the primary key one column wide, and a station's clock in 1970 breaks nothing:
the month is that of arrival. A default partition catches what was not foreseen; rows in it are an alarm.
"""

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

PARTITIONED = ("run", "sample_chunk")

_PARTITIONS_OF = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = CAST(:table AS regclass) ORDER BY c.relname"
)


def first_id(moment: datetime) -> str:
    """The smallest UUIDv7 text of a moment."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def _month_after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


async def make_partitions(connection: AsyncConnection, at: datetime, months_ahead: int = 3) -> list[str]:
    """Create what is missing of this month's partitions and the next ones'; returns the names made."""
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('mes.partitions'))"))
    existing = set((await connection.execute(text("SELECT relname FROM pg_class WHERE relispartition"))).scalars())
    made = []
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(months_ahead + 1):
        end = _month_after(month)
        for table in PARTITIONED:
            name = f"{table}_{month:%Y_%m}"
            if name not in existing:
                await connection.execute(
                    text(
                        f"CREATE TABLE {name} PARTITION OF {table} "
                        f"FOR VALUES FROM ('{first_id(month)}') TO ('{first_id(end)}')"
                    )
                )
                made.append(name)
        month = end
    return made


async def drop_partitions(connection: AsyncConnection, table: str, before: datetime) -> list[str]:
    """Drop the months of a table of which every row arrived before a moment; returns the names dropped."""
    rows = await connection.execute(_PARTITIONS_OF, {"table": table})
    dropped = []
    for name in rows.scalars():
        month = _month_of(name.removeprefix(f"{table}_"))
        if month and _month_after(month) <= before:
            await connection.execute(text(f"DROP TABLE {name}"))
            dropped.append(name)
    return dropped


def _month_of(suffix: str) -> datetime | None:
    """The month that a partition's name says; None for the default partition."""
    try:
        return datetime.strptime(suffix, "%Y_%m").replace(tzinfo=UTC)
    except ValueError:
        return None
