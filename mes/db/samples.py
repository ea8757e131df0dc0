"""Telemetry: a stretch of one channel is one row, with its extremes beside it.

Rows come as stations send them, some minutes each. When an hour is over, its rows are merged: one long array of a
channel is compressed by PostgreSQL, and a day of it is two dozen rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying
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
    if chunks:
        await copying.copy_in(connection, "sample_chunk", _COLUMNS, _rows(chunks, merged))


def _rows(chunks: Sequence[Chunk], merged: bool) -> Iterator[bytes]:
    """Every row. What follows one after another in one message shares its owner and clock: they are packed once."""
    tail = copying.truth(merged)
    values = copying.doubles_of_many([one.values for one in chunks])
    same: tuple[Any, ...] | None = None
    for one, packed in zip(chunks, values, strict=True):
        unit_id, step, station, run, channel, start, period_s, offsets_s, samples = one
        if (shared := (unit_id, step, station, run, start, period_s, offsets_s)) != same:
            owner, clock, same = _owner(one), _clock(one), shared
        yield copying.row(_new_id(), *owner, _name(channel), *clock, *_counts(samples), packed, tail)


def _new_id() -> bytes:
    return copying.uuid(new_id())


@lru_cache(100_000)
def _name(channel: str) -> bytes:
    return copying.text(channel)


def _owner(one: Chunk) -> tuple[bytes, ...]:
    return copying.uuid(one.unit_id), copying.text(one.step), copying.text(one.station), copying.text(one.run)


def _clock(one: Chunk) -> tuple[bytes, ...]:
    offsets = copying.NULL if one.offsets_s is None else copying.doubles(one.offsets_s)
    return copying.moment(one.start), copying.double(one.period_s), offsets


def _counts(values: Sequence[Any]) -> tuple[bytes, ...]:
    """How many there are; smallest, largest and mean of those that are no gap."""
    try:
        total, known = sum(values), values
    except TypeError:  # there are gaps
        known = [value for value in values if value is not None]
        total = sum(known)
    count = copying.integer(len(values))
    if not known:
        return count, copying.NULL, copying.NULL, copying.NULL
    return count, *map(copying.double, (min(known), max(known), total / len(known)))


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
