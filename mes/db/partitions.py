"""Monthly partitions of the tables whose key is a UUIDv7 made at receipt: its first 48 bits are milliseconds.

Partitioning by the key itself keeps the primary key one column wide, and a station's clock in 1970 breaks nothing:
the month is that of arrival. A default partition catches what was not foreseen; rows in it are an alarm.

Making and dropping a month needs locks that readers hold as long as their transaction lasts, and behind whoever waits
for such a lock everybody queues who comes later: ingest first. So nothing here waits for longer than `PATIENCE_MS`.
What can't be had by then is put off: the caller says so and comes again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

PARTITIONED = ("run", "sample_chunk")
PATIENCE_MS: Final = 200
"""Longest wait for a lock, and so the longest that ingest waits behind it. A batch takes less."""
_LOCK_NOT_AVAILABLE: Final = "55P03"

_PARTITIONS_OF = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = CAST(:table AS regclass) ORDER BY c.relname"
)


class Outcome(NamedTuple):
    """Names of the partitions made or dropped, and of those put off until the next time, with the reason."""

    done: list[str]
    put_off: dict[str, str]

    @property
    def reasons(self) -> str:
        """What is put off and why, in one line."""
        return "; ".join(f"{name} ({why})" for name, why in self.put_off.items())


def first_id(moment: datetime) -> str:
    """The smallest UUIDv7 text of a moment."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}-0000-0000-000000000000"


def _month_after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _end_id(month: datetime) -> str:
    """The smallest id that comes after a month."""
    return first_id(_month_after(month))


async def make_partitions(connection: AsyncConnection, at: datetime, months_ahead: int = 3) -> Outcome:
    """Create what is missing of this month's partitions and the next ones'.

    A month is put off that can't be locked now, or that has rows in the default partition: these have to be moved
    first. The other months are made all the same.
    """
    outcome = Outcome([], {})
    async with _impatient(connection):
        existing = set((await connection.execute(text("SELECT relname FROM pg_class WHERE relispartition"))).scalars())
        for table in PARTITIONED:
            month, missing = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0), {}
            for _ in range(months_ahead + 1):
                name = f"{table}_{month:%Y_%m}"
                if name not in existing and await _has_strayed(connection, table, month):
                    outcome.put_off[name] = f"rows of it are in {table}_default"
                elif name not in existing:
                    missing[name] = _make(table, name, month)
                month = _month_after(month)
            await _each(connection, missing, outcome)
    return outcome


async def drop_partitions(connection: AsyncConnection, table: str, before: datetime) -> Outcome:
    """Drop the months of a table of which every row arrived before a moment, but those that can't be locked now."""
    outcome = Outcome([], {})
    async with _impatient(connection):
        names = (await connection.execute(_PARTITIONS_OF, {"table": table})).scalars()
        months = {name: _month_of(name.removeprefix(f"{table}_")) for name in names}
        old = {name: _drop(table, name) for name, month in months.items() if month and _month_after(month) <= before}
        await _each(connection, old, outcome)
    return outcome


async def _has_strayed(connection: AsyncConnection, table: str, month: datetime) -> bool:
    """Whether the default partition holds rows of a month. PostgreSQL would find them, too, but only under a lock."""
    strayed = f"SELECT EXISTS (SELECT FROM {table}_default WHERE id >= '{first_id(month)}' AND id < '{_end_id(month)}')"
    return bool((await connection.execute(text(strayed))).scalar_one())


@asynccontextmanager
async def _impatient(connection: AsyncConnection) -> AsyncIterator[None]:
    """Alone at the partitions, and with little patience for locks; the transaction is as patient as before afterwards.

    Whoever else is at it holds no lock for long.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('mes.partitions'))"))
    patience = text("SELECT current_setting('lock_timeout'), set_config('lock_timeout', :ms, true)")
    before, _ = (await connection.execute(patience, {"ms": f"{PATIENCE_MS}ms"})).one()
    yield
    await connection.execute(patience, {"ms": before})


async def _each(connection: AsyncConnection, wanted: dict[str, list[str]], outcome: Outcome) -> None:
    """Run each partition's statements by themselves; after a lock that can't be had, wait for no other one."""
    busy = False
    for name, statements in wanted.items():
        if busy:
            outcome.put_off[name] = "its turn is after one that is in use"
            continue
        try:
            async with connection.begin_nested():
                for statement in statements:
                    await connection.execute(text(statement))
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            busy = getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE
            outcome.put_off[name] = "in use by an open transaction" if busy else str(error.orig).partition("\n")[0]
        else:
            outcome.done.append(name)


def _make(table: str, name: str, month: datetime) -> list[str]:
    """A month's statements. Attached, a table needs a lock of its parent that hinders neither readers nor writers.

    The default partition is locked out of everyone's way for a moment: rows of the month may not come into it.
    """
    return [
        f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL EXCLUDING COMMENTS)",
        f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM ('{first_id(month)}') TO ('{_end_id(month)}')",
    ]


def _drop(table: str, name: str) -> list[str]:
    """A month's statements. It is waited for one lock, the parent's; meanwhile no other one is held.

    DETACH CONCURRENTLY would need less, but PostgreSQL refuses it beside a default partition; DETACH needs as much as
    DROP. Files are removed after the locks are given back.
    """
    return [
        f"LOCK TABLE ONLY {table} IN ACCESS EXCLUSIVE MODE",
        f"LOCK TABLE ONLY {name}, ONLY {table}_default IN ACCESS EXCLUSIVE MODE NOWAIT",
        f"DROP TABLE {name}",
    ]


def _month_of(suffix: str) -> datetime | None:
    """The month that a partition's name says; None for the default partition."""
    try:
        return datetime.strptime(suffix, "%Y_%m").replace(tzinfo=UTC)
    except ValueError:
        return None
