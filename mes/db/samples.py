"""Telemetry: a stretch of one channel is one row, with its extremes beside it.

Rows come as stations send them, some minutes each. When an hour is over, its rows are merged: one long array of a
channel is compressed by PostgreSQL, and a day of it is two dozen rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.journal import new_id
from mes.db.session import driver
from mes.domain.telemetry import Stretch, merged

MERGED_AFTER: Final = timedelta(minutes=10)
"""How long after an hour's end its rows are merged; what comes later is merged by itself."""
_AT_ONCE: Final = 20_000  # rows that are merged in one transaction: their values are held in memory


class Chunk(NamedTuple):
    """A stretch of one channel. `values` hold None for a gap; either `period_s` or `offsets_s` is set."""

    unit_id: str
    step: str
    station: str
    run: str | None
    channel: str
    start: datetime
    period_s: float | None
    offsets_s: Sequence[float] | None
    values: Sequence[float | None]


_COLUMNS = (
    "id", "unit_id", "step", "station", "run", "channel", "start", "period_s", "offsets_s", "samples", "low", "high",
    "mean", "values", "merged",
)  # fmt: skip

_OVER = text(
    """
    SELECT unit_id, date_trunc('hour', start, 'UTC') AS hour FROM sample_chunk
    WHERE NOT merged AND start < date_trunc('hour', CAST(:before AS timestamptz), 'UTC')
    ORDER BY start, unit_id LIMIT 1
    """
)
_YOUNG = """
    SELECT id, unit_id, step, station, run, channel, start, period_s, offsets_s, values FROM sample_chunk
    WHERE NOT merged AND unit_id = $1 AND start >= $2 AND start < $3
    ORDER BY channel, step, station, run, start LIMIT $4
"""


async def store_chunks(connection: AsyncConnection, chunks: Sequence[Chunk], *, merged: bool = False) -> None:
    """COPY chunks in."""
    if not chunks:
        return
    rows = [_row(one, merged) for one in chunks]
    await (await driver(connection)).copy_records_to_table("sample_chunk", columns=_COLUMNS, records=rows)


def _row(one: Chunk, merged: bool) -> tuple[Any, ...]:
    return (new_id(), *one[:8], len(one.values), *_extremes(one.values), one.values, merged)


def _extremes(values: Sequence[Any]) -> tuple[float | None, float | None, float | None]:
    """Smallest, largest and mean of what is not a gap."""
    known = [value for value in values if value is not None] if None in values else values
    return (min(known), max(known), sum(known) / len(known)) if known else (None, None, None)


async def merge_chunks(connection: AsyncConnection, at: datetime) -> int:
    """Merge rows of one unit and one hour that is over; returns how many rows there were, 0 when none is left.

    Only one process may do this at a time: see `merging_alone`.
    """
    over = (await connection.execute(_OVER, {"before": at - MERGED_AFTER})).one_or_none()
    if over is None:
        return 0
    raw = await driver(connection)
    hour: datetime = over.hour
    young = await raw.fetch(_YOUNG, over.unit_id, hour, hour + timedelta(hours=1), _AT_ONCE)
    await store_chunks(connection, list(_merged(young)), merged=True)
    await raw.execute("DELETE FROM sample_chunk WHERE id = ANY($1::uuid[])", [row["id"] for row in young])
    return len(young)


async def merging_alone(connection: AsyncConnection) -> bool:
    """Whether this transaction is the only one that merges; if so, it stays so until its end."""
    taken = await connection.execute(text("SELECT pg_try_advisory_xact_lock(hashtext('mes.samples.merge'))"))
    return bool(taken.scalar_one())


def _merged(rows: Iterable[Any]) -> Iterator[Chunk]:
    for (unit_id, step, station, run, channel), some in groupby(rows, key=_series):
        stretches = (Stretch(row["start"], row["period_s"], row["offsets_s"], row["values"]) for row in some)
        for one in merged(stretches):
            yield Chunk(str(unit_id), step, station, run, channel, *one)


def _series(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("unit_id", "step", "station", "run", "channel"))
