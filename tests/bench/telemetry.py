"""Telemetry into the record and out of it, beside one row per sample, in the same run.

Several racks soak at once. A station tells ten minutes of many channels of a rack in one message, a sample every 5 s,
as loggers of burn-in chambers do; `minutely_samples_per_s` is for one that tells every minute. Ours is what ingest does
with batches from the broker: decoding, gate, rules, journal, stretches, receipts; then merging, as the feed does when
an hour is over. Its rivals decode the same messages and store (run, channel, at, value) with the primary key
that reading one channel needs: by INSERT, as is usually written, all samples of a message in one executemany; and by
COPY, the best that one row per sample can do. Sensors report tenths; `full_bytes_per_sample` is for values that use
every digit of a double. Processor time, in nanoseconds a sample: `python_cpu_ns` of ours, `postgres_cpu_ns` of its
database.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final, NamedTuple, cast
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy import text

from mes.commands.entrance import Entrance
from mes.commands.ingest import settle
from mes.db.session import Database
from mes.feeds.telemetry import merge
from mes.formats.messages import Arrived, Message, decode
from mes.formats.messages.samples import SamplesTaken
from mes.mqtt.bridge import Bridge, Delivery
from mes.mqtt.consumer import IN_HAND_MAX, Ingesting, here
from mes.mqtt.receipts import Settled
from mes.queries.samples import Asked, series
from tests.bench import floor
from tests.bench.chamber import PER_MESSAGE, PERIOD_S, STATION, messages
from tests.bench.parts import Parts, Running, conditions, query, running

BATCH: Final = 3
RUN: Final = UUID("01999999-0000-7000-8000-000000000000")
ROWS: Final = """
    CREATE TABLE row_sample (run uuid NOT NULL, channel text COLLATE "C" NOT NULL, at timestamptz NOT NULL,
                             value float8, PRIMARY KEY (run, channel, at))
"""


Row = tuple[UUID, str, datetime, float | None]
Store = Callable[[Any, list[Row]], Awaitable[None]]


class Size(NamedTuple):
    """How much is measured: pairs, racks, channels of each, hours; how often one channel is read."""

    pairs: int
    racks: int
    channels: int
    hours: int
    reads: int

    @property
    def told(self) -> tuple[int, int, int]:
        return self.racks, self.channels, self.hours


FULL: Final = Size(5, 6, 200, 1, 30)
SHORT: Final = Size(1, 2, 5, 1, 2)


def decoded(payload: bytes) -> Message:
    """One message, as the consumer decodes it."""
    (message,) = decode(STATION, "samples", payload)
    assert isinstance(message, Message), "a message of the bench can not be read"
    return message


async def run(*, short: bool = False) -> dict[str, Any]:
    """Measure; see the module for what."""
    size = SHORT if short else FULL
    told = messages(*size.told)
    samples = size.racks * size.channels * size.hours * 3600 // PERIOD_S
    async with running() as parts:
        await parts.floor(size.racks)
        pairs = [await _pair(parts, told, samples) for _ in range(size.pairs)]
        figures = _medians(pairs)
        figures |= await _minutely(parts, size, samples)
        figures |= await _sizes(parts, told, messages(*size.told, None), samples)
        figures |= await _reading(parts, size)
        figures |= await conditions(parts)
    counted = {"messages": len(told), "samples": samples, "channels": size.channels, "distinct_units": size.racks}
    ratio_bytes = figures["row_bytes_per_sample"] / figures["bytes_per_sample"]
    return {**figures, "ratio_bytes": ratio_bytes, **counted, "journal_entries": len(told), "pairs": size.pairs}


class Pair(NamedTuple):
    """Samples a second: ours stored, ours stored and merged, one row each by INSERT, one row each by COPY.

    And nanoseconds of processor time a sample of ours: here, and in PostgreSQL.
    """

    stored_per_s: float
    merged_per_s: float
    inserted_per_s: float
    copied_per_s: float
    python_cpu_ns: float
    postgres_cpu_ns: float


class Took(NamedTuple):
    """Seconds that it took: storing, merging; processor time of storing, here and in PostgreSQL."""

    stored_s: float
    merged_s: float
    python_cpu_s: float
    postgres_cpu_s: float


async def _pair(parts: Parts, told: list[bytes], samples: int) -> Pair:
    url = await parts.fresh_database()
    ours = await _ours(url, told)
    await parts.drop(url)
    both_s = ours.stored_s + ours.merged_s
    inserted_s, copied_s = [await _rival(parts, told, store) for store in (_insert, _copy)]
    rates = (samples / took for took in (ours.stored_s, both_s, inserted_s, copied_s))
    return Pair(*rates, *(1e9 * cpu_s / samples for cpu_s in (ours.python_cpu_s, ours.postgres_cpu_s)))


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
        "python_cpu_ns": round(median(one.python_cpu_ns for one in pairs)),
        "postgres_cpu_ns": round(median(one.postgres_cpu_ns for one in pairs)),
    }


async def _minutely(parts: Parts, size: Size, samples: int) -> dict[str, int]:
    """Samples a second when each message holds a minute."""
    told = messages(*size.told, each=60 // PERIOD_S)
    rates = []
    for _ in range(size.pairs):
        url = await parts.fresh_database()
        rates.append(samples / (await _ours(url, told)).stored_s)
        await parts.drop(url)
    return {"minutely_samples_per_s": round(median(rates))}


class Broker:
    """Stands where the bridge to the broker stands: what was acknowledged, and how many receipts were not `applied`."""

    waiting = 0

    def __init__(self) -> None:
        self.acknowledged = 0
        self.failed = 0

    def ack(self, batch: Sequence[Delivery]) -> None:
        self.acknowledged += len(batch)

    def publish(self, topic: str, payload: bytes) -> bool:
        self.failed += payload.count(b'"fate"') - payload.count(b'"applied"')
        return True

    def drop_delivering(self, batch: Sequence[Delivery], pause_s: float) -> bool:
        raise AssertionError(f"{len(batch)} messages could not be stored")


async def _ours(url: str, told: list[bytes]) -> Took:
    """How long storing takes, and merging."""
    database = Database(url)
    try:
        began, cpu_s = time.perf_counter(), time.process_time()
        await _ingest(database, told)
        stored_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu_s
        postgres_cpu_s = await _connections_cpu_s(database)
        began = time.perf_counter()
        await merge(database, datetime.now(UTC))
        return Took(stored_s, time.perf_counter() - began, cpu_s, postgres_cpu_s)
    finally:
        await database.close()


async def _ingest(database: Database, told: list[bytes]) -> None:
    broker, entrance = Broker(), Entrance()
    deliveries = [
        Delivery(f"mes/v1/{STATION}/samples", one, False, False, 1, number, 1) for number, one in enumerate(told)
    ]

    async def settled(arrived: Sequence[Arrived], at: datetime) -> Sequence[Settled]:
        return await settle(database, arrived, at, entrance)

    async with asyncio.TaskGroup() as tasks:
        ingesting = Ingesting(cast(Bridge, broker), here(settled, source="mes/bench"), IN_HAND_MAX, None, tasks)
        for first in range(0, len(told), BATCH):
            await ingesting.has_room()
            ingesting.take(deliveries[first : first + BATCH])
    assert (broker.acknowledged, broker.failed) == (len(told), 0)


async def _connections_cpu_s(database: Database) -> float:
    """Processor time of the database's connections, which were opened for this measurement."""
    async with database.reading() as reading:
        pids = await reading.execute(text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()"))
        return sum(Running(pid, 0).cpu_s for pid in pids.scalars())


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
    run = uuid5(RUN, data.run or "")
    times = [data.start + timedelta(seconds=PERIOD_S * index) for index in range(PER_MESSAGE)]
    for name, values in data.channels.items():
        for at, value in zip(times, values, strict=True):
            yield run, name, at, value


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
    told = messages(1, size.channels // 5, hours)
    url = await parts.fresh_database()
    await _ours(url, told)
    await query(url, "ANALYZE")
    await _rows(url, told, _copy)
    await query(url, "VACUUM ANALYZE row_sample")
    (rack,) = floor.serials(1)
    channel = next(iter(decoded(told[0]).data.channels))  # type: ignore[union-attr]
    database = Database(url)
    connection = await asyncpg.connect(url, ssl=False)
    unit, run = str(await connection.fetchval("SELECT unit_id FROM sample_chunk LIMIT 1")), uuid5(RUN, f"burn-{rack}")
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
        return len(await connection.fetch(_ROW_VALUES, run, channel))

    async def rows_by_minute() -> int:
        return sum(row["n"] for row in await connection.fetch(_ROW_MINUTES, run, channel))

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
