"""Telemetry into the record and out of it, beside one row per sample, in the same run.

A station tells ten minutes of many channels in one message, a sample every 5 s, as loggers of burn-in chambers do;
`minutely_samples_per_s` is for one that tells every minute. Ours is
`settle`: decoding, gate, rules, journal, chunks; then merging, as the feed does when an hour is over. Its rivals decode
the same messages and store (run, channel, at, value) with the primary key that reading one channel needs: by INSERT, as
is usually written, all samples of a message in one executemany; and by COPY, the best that one row per sample can do.
Sensors report tenths; `full_bytes_per_sample` is for values that use every
digit of a double.
"""

import json
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg

from mes.commands.ingest import settle
from mes.db.session import Database
from mes.feeds.telemetry import merge
from mes.formats.messages import Message, decode
from mes.formats.messages.samples import SamplesTaken
from mes.queries.samples import Asked, series
from tests.bench import floor
from tests.bench.parts import Parts, conditions, query, running

PERIOD_S: Final = 5
PER_MESSAGE: Final = 120
STATION: Final = "ft-00"
BATCH: Final = 8
RUN: Final = UUID("01999999-0000-7000-8000-000000000000")
ROWS: Final = """
    CREATE TABLE row_sample (run uuid NOT NULL, channel text COLLATE "C" NOT NULL, at timestamptz NOT NULL,
                             value float8, PRIMARY KEY (run, channel, at))
"""


Row = tuple[UUID, str, datetime, float | None]
Store = Callable[[Any, list[Row]], Awaitable[None]]


class Size(NamedTuple):
    """How much is measured: pairs, channels, hours; the hours of one channel that is read; how often it is read."""

    pairs: int
    channels: int
    hours: int
    reads: int


FULL: Final = Size(5, 400, 2, 30)
SHORT: Final = Size(1, 5, 1, 2)


def messages(channels: int, hours: int, digits: int | None = 1, each: int = PER_MESSAGE) -> Iterator[bytes]:
    """What a chamber tells of a rack: walks around a mean, at tenths or with every digit."""
    seeded = random.Random(20261122)
    names = [f"U{number // 40 + 1:02d}/GPU{number % 4}/sensor_{number % 40 // 4}" for number in range(channels)]
    levels = [seeded.uniform(20, 90) for _ in names]
    began = floor.BEGIN
    for number in range(hours * 3600 // (PERIOD_S * each)):
        start = began + timedelta(seconds=number * PERIOD_S * each)
        told = {name: [_walk(seeded, levels, index, digits) for _ in range(each)] for index, name in enumerate(names)}
        yield _event(f"{each}-{digits}-{number}", start, told)


def _walk(seeded: random.Random, levels: list[float], index: int, digits: int | None) -> float:
    levels[index] += seeded.gauss(0, 0.3)
    return levels[index] if digits is None else round(levels[index], digits)


def _event(id: str, start: datetime, channels: dict[str, list[float]]) -> bytes:
    data = {"unit": floor.serials(1)[0], "step": "test-0", "run": "burn", "start": start.isoformat()}
    event = {"specversion": "1.0", "id": id, "source": f"stations/{STATION}", "type": "mes.samples.taken"}
    return json.dumps(
        {**event, "time": start.isoformat(), "data": {**data, "period_s": PERIOD_S, "channels": channels}}
    ).encode()


def decoded(payload: bytes) -> Message:
    """One message, as the consumer decodes it."""
    (message,) = decode(STATION, "samples", payload)
    assert isinstance(message, Message), "a message of the bench can not be read"
    return message


async def run(*, short: bool = False) -> dict[str, Any]:
    """Measure; see the module for what."""
    size = SHORT if short else FULL
    told = list(messages(size.channels, size.hours))
    samples = size.channels * size.hours * 3600 // PERIOD_S
    async with running() as parts:
        await parts.floor(1)
        pairs = [await _pair(parts, told, samples) for _ in range(size.pairs)]
        figures = _medians(pairs)
        figures |= await _minutely(parts, size, samples)
        figures |= await _sizes(parts, told, list(messages(size.channels, size.hours, None)), samples)
        figures |= await _reading(parts, size)
        figures |= await conditions(parts)
    counted = {"messages": len(told), "samples": samples, "channels": size.channels, "distinct_units": 1}
    ratio_bytes = figures["row_bytes_per_sample"] / figures["bytes_per_sample"]
    return {**figures, "ratio_bytes": ratio_bytes, **counted, "journal_entries": len(told), "pairs": size.pairs}


class Pair(NamedTuple):
    """Samples a second: ours stored, ours stored and merged, one row each by INSERT, one row each by COPY."""

    stored_per_s: float
    merged_per_s: float
    inserted_per_s: float
    copied_per_s: float


async def _pair(parts: Parts, told: list[bytes], samples: int) -> Pair:
    url = await parts.fresh_database()
    stored_s, merged_s = await _ours(url, told)
    await parts.drop(url)
    inserted_s, copied_s = [await _rival(parts, told, store) for store in (_insert, _copy)]
    return Pair(*(samples / took for took in (stored_s, stored_s + merged_s, inserted_s, copied_s)))


async def _rival(parts: Parts, told: list[bytes], store: Store) -> float:
    url = await parts.fresh_database()
    took = await _rows(url, told, store)
    await parts.drop(url)
    return took


def _medians(pairs: list[Pair]) -> dict[str, float]:
    return {
        "samples_per_s": round(median(one.stored_per_s for one in pairs)),
        "samples_merged_per_s": round(median(one.merged_per_s for one in pairs)),
        "row_samples_per_s": round(median(one.inserted_per_s for one in pairs)),
        "row_copy_samples_per_s": round(median(one.copied_per_s for one in pairs)),
        "ratio_rows": median(one.stored_per_s / one.inserted_per_s for one in pairs),
        "ratio_row_copy": median(one.stored_per_s / one.copied_per_s for one in pairs),
        "ratio_rows_merged": median(one.merged_per_s / one.inserted_per_s for one in pairs),
    }


async def _minutely(parts: Parts, size: Size, samples: int) -> dict[str, int]:
    """Samples a second when each message holds a minute."""
    told = list(messages(size.channels, size.hours, each=60 // PERIOD_S))
    rates = []
    for _ in range(size.pairs):
        url = await parts.fresh_database()
        rates.append(samples / (await _ours(url, told))[0])
        await parts.drop(url)
    return {"minutely_samples_per_s": round(median(rates))}


async def _ours(url: str, told: list[bytes]) -> tuple[float, float]:
    """Seconds that storing takes, and merging."""
    database = Database(url)
    try:
        began = time.perf_counter()
        for first in range(0, len(told), BATCH):
            fates = await settle(database, [decoded(one) for one in told[first : first + BATCH]], datetime.now(UTC))
            assert {one.fate for one in fates} == {"applied"}, fates
        stored = time.perf_counter()
        await merge(database, datetime.now(UTC))
        return stored - began, time.perf_counter() - stored
    finally:
        await database.close()


async def _rows(url: str, told: list[bytes], store: Store) -> float:
    """Seconds that one row per sample takes."""
    connection = await asyncpg.connect(url, ssl=False)
    try:
        await connection.execute(ROWS)
        began = time.perf_counter()
        for one in told:
            await store(connection, list(_rows_of(decoded(one).data)))
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _insert(connection: Any, rows: list[Row]) -> None:
    await connection.executemany("INSERT INTO row_sample VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING", rows)


async def _copy(connection: Any, rows: list[Row]) -> None:
    await connection.copy_records_to_table("row_sample", records=rows)


def _rows_of(data: Any) -> Iterator[Row]:
    assert isinstance(data, SamplesTaken)
    times = [data.start + timedelta(seconds=PERIOD_S * index) for index in range(PER_MESSAGE)]
    for name, values in data.channels.items():
        for at, value in zip(times, values, strict=True):
            yield RUN, name, at, value


async def _sizes(parts: Parts, told: list[bytes], full: list[bytes], samples: int) -> dict[str, float]:
    """Bytes a sample on disk, indexes and TOAST included, after VACUUM FULL of each."""
    ours = "(SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'sample_chunk'::regclass)"
    sizes = {}
    for name, payloads in (("bytes_per_sample", told), ("full_bytes_per_sample", full)):
        url = await parts.fresh_database()
        await _ours(url, payloads)
        sizes[name] = await _size(url, "sample_chunk", ours) / samples
        await parts.drop(url)
    url = await parts.fresh_database()
    await _rows(url, told, _copy)
    sizes["row_bytes_per_sample"] = await _size(url, "row_sample", "pg_total_relation_size('row_sample')") / samples
    await parts.drop(url)
    return sizes


async def _size(url: str, table: str, how: str) -> float:
    await query(url, f"VACUUM FULL {table}")
    return float(await query(url, f"SELECT {how}"))


async def _reading(parts: Parts, size: Size) -> dict[str, Any]:
    """Milliseconds to read 24 h of one channel, each value of it, and by the minute; the same of one row per sample."""
    hours = 2 if size is SHORT else 24
    told = list(messages(size.channels // 5, hours))
    url = await parts.fresh_database()
    await _ours(url, told)
    await query(url, "ANALYZE")
    await _rows(url, told, _copy)
    await query(url, "VACUUM ANALYZE row_sample")
    channel = next(iter(decoded(told[0]).data.channels))  # type: ignore[union-attr]
    database = Database(url)
    connection = await asyncpg.connect(url, ssl=False)
    unit = str(await connection.fetchval("SELECT id FROM unit"))
    asked = Asked(channel=channel, points=hours * 60)

    async def by_minute() -> int:
        async with database.reading() as reading:
            return sum(
                point.samples for point in (await series(reading, unit, asked, limit=1, cursor=None)).items[0].points
            )

    async def values() -> int:
        rows = await connection.fetch(_VALUES, unit, channel)
        return sum(len(row["values"]) for row in rows)

    async def rows() -> int:
        return len(await connection.fetch(_ROW_VALUES, RUN, channel))

    async def rows_by_minute() -> int:
        return sum(row["n"] for row in await connection.fetch(_ROW_MINUTES, RUN, channel))

    try:
        wanted = hours * 3600 // PERIOD_S
        reads = {"read": values, "minutes": by_minute, "row_read": rows, "row_minutes": rows_by_minute}
        return {f"{name}_24h_ms": await _median_ms(read, wanted, size.reads) for name, read in reads.items()}
    finally:
        await connection.close()
        await database.close()
        await parts.drop(url)


_VALUES: Final = (
    "SELECT start, period_s, offsets_s, values FROM sample_chunk WHERE unit_id = $1 AND channel = $2 ORDER BY start"
)
_ROW_VALUES: Final = "SELECT at, value FROM row_sample WHERE run = $1 AND channel = $2 ORDER BY at"
_ROW_MINUTES: Final = """
    SELECT date_trunc('minute', at) AS minute, min(value), max(value), avg(value), count(*) AS n
    FROM row_sample WHERE run = $1 AND channel = $2 GROUP BY 1 ORDER BY 1
"""


async def _median_ms(read: Callable[[], Awaitable[int]], wanted: int, times: int) -> float:
    took = []
    for _ in range(times):
        began = time.perf_counter()
        assert await read() == wanted
        took.append(1000 * (time.perf_counter() - began))
    return median(took)
