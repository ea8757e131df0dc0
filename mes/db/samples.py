"""Telemetry: a stretch of one channel is one row, with its extremes beside it.

Rows come as stations send them, some minutes each. When an hour is over, its rows are merged: one long array of a
channel is compressed by PostgreSQL, and a day of it is two dozen rows.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import groupby
from struct import Struct
from typing import Any, Final, NamedTuple

import uuid_utils
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db import copying
from mes.db.session import driver
from mes.domain.telemetry import Stretch, extremes, merged

MERGED_AFTER: Final = timedelta(minutes=10)
"""How long after an hour's end its rows are merged; what comes later is merged by itself."""
_ID_SIZE: Final = copying.size(16)
_three_doubles: Final = Struct(">ididid").pack
_AT_ONCE: Final = 20_000  # rows that are merged in one transaction: their values are held in memory


class Stretches(NamedTuple):
    """A stretch of each of some channels, sampled at the same times: what one message of samples tells.

    Values are None for a gap; either `period_s` or `offsets_s` (seconds after `start`) is set.
    """

    unit_id: str
    step: str
    station: str
    run: str | None
    start: datetime
    period_s: float | None
    offsets_s: Sequence[float] | None
    channels: Mapping[str, Sequence[float | None]]


_COLUMNS = (
    "unit_id", "step", "station", "run", "start", "period_s", "offsets_s", "merged", "samples", "channel", "values",
    "id", "low", "high", "mean",
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


async def store_stretches(connection: AsyncConnection, told: Iterable[Stretches], *, merged: bool = False) -> None:
    """COPY stretches in, a row for each channel."""
    rows = [row for one in told for row in _rows(one, merged)]
    if rows:
        await copying.copy_in(connection, "sample_chunk", _COLUMNS, rows)


def _rows(told: Stretches, merged: bool) -> Iterator[bytes]:
    """Every row; what its channels share is packed once."""
    values = list(told.channels.values())
    shared = copying.row_head(len(_COLUMNS)) + _shared(told) + copying.truth(merged) + copying.integer(len(values[0]))
    for channel, one, packed in zip(told.channels, values, copying.doubles_of_many(values), strict=True):
        yield b"".join((shared, _name(channel), packed, _ID_SIZE, uuid_utils.uuid7().bytes, _extremes(one)))


@lru_cache(100_000)
def _name(channel: str) -> bytes:
    return copying.text(channel)


def _shared(told: Stretches) -> bytes:
    """Owner and clock."""
    owner = copying.uuid(told.unit_id), copying.text(told.step), copying.text(told.station), copying.text(told.run)
    offsets = copying.NULL if told.offsets_s is None else next(copying.doubles_of_many([told.offsets_s]))
    return b"".join((*owner, copying.moment(told.start), copying.double(told.period_s), offsets))


def _extremes(values: Sequence[float | None]) -> bytes:
    seen = extremes(values)
    return _three_doubles(8, seen.low, 8, seen.high, 8, seen.mean) if seen else copying.NULL * 3


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
    await store_stretches(connection, _merged(young), merged=True)
    await raw.execute("DELETE FROM sample_chunk WHERE id = ANY($1::uuid[])", [row["id"] for row in young])
    return len(young)


async def merging_alone(connection: AsyncConnection) -> bool:
    """Whether this transaction is the only one that merges; if so, it stays so until its end."""
    taken = await connection.execute(text("SELECT pg_try_advisory_xact_lock(hashtext('mes.samples.merge'))"))
    return bool(taken.scalar_one())


def _merged(rows: Iterable[Any]) -> Iterator[Stretches]:
    for (unit_id, step, station, run, channel), some in groupby(rows, key=_series):
        stretches = (Stretch(row["start"], row["period_s"], row["offsets_s"], row["values"]) for row in some)
        for one in merged(stretches):
            yield Stretches(str(unit_id), step, station, run, *one[:3], {channel: one.values})


def _series(row: Any) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("unit_id", "step", "station", "run", "channel"))
