"""Telemetry as charts read it: every sample in one bucket, no peak lost, gaps left out."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.samples import Stretches, store_stretches
from mes.db.session import Database
from mes.queries.samples import Asked, Series, series
from tests.db.units import add_unit, hour

BEGAN = hour(8)


def stretch(unit: str, after_s: float, values: list[float | None], channel: str = "temp", **more: Any) -> Stretches:
    """One stretch of a channel, a sample each second unless `offsets_s` says otherwise."""
    offsets_s = more.get("offsets_s")
    start = BEGAN + timedelta(seconds=after_s)
    period_s = None if offsets_s else 1.0
    return Stretches(unit, "burn-in", "bay-1", more.get("run", "r1"), start, period_s, offsets_s, {channel: values})


async def read(connection: AsyncConnection, unit: str, *, limit: int = 100, **asked: Any) -> list[Series]:
    """All series, page by page."""
    found, cursor = [], None
    while True:
        page = await series(connection, unit, Asked(**asked), limit=limit, cursor=cursor)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


async def test_buckets_keep_every_sample_and_every_peak(database: Database) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        values: list[float | None] = [float(one % 7) for one in range(100)]
        values[42], values[50] = 99.0, None
        await store_stretches(connection, [stretch(unit, at, values[at : at + 13]) for at in range(0, 100, 13)])
        (whole,) = await read(connection, unit, points=10)
        assert (whole.samples, whole.low, whole.high) == (100, 0, 99)
        assert (whole.since, whole.until) == (BEGAN, BEGAN + timedelta(seconds=99))
        assert len(whole.points) == 10
        assert sum(one.samples for one in whole.points) == 99  # without the gap
        assert [one.high for one in whole.points].count(99) == 1
        known = [one for one in values if one is not None]
        assert sum(one.mean * one.samples for one in whole.points) == pytest.approx(sum(known))
        (halves,) = await read(connection, unit, points=2)  # most stretches lie within one of them
        for one, half in zip(halves.points, (values[:50], values[50:]), strict=True):
            there = [value for value in half if value is not None]
            assert (one.samples, one.low, one.high) == (len(there), min(there), max(there))
            assert one.mean == pytest.approx(sum(there) / len(there))
        (each,) = await read(connection, unit, points=1000)
        assert [one.mean for one in each.points] == known


async def test_a_part_of_the_time_is_read_sample_by_sample(database: Database) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        await store_stretches(connection, [stretch(unit, 0, [float(one) for one in range(3600)])])
        since, until = BEGAN + timedelta(seconds=1000), BEGAN + timedelta(seconds=1009)
        (some,) = await read(connection, unit, since=since, until=until, points=300)
        assert [(one.at - BEGAN).total_seconds() for one in some.points] == list(range(1000, 1010))
        assert [one.mean for one in some.points] == list(range(1000, 1010))
        (none,) = await read(connection, unit, since=hour(20), until=hour(21))
        assert (none.samples, none.points) == (3600, [])


async def test_samples_at_odd_times_and_alone(database: Database) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        odd = stretch(unit, 0, [1.0, 2.0, None, 4.0], offsets_s=(0.0, 0.5, 7.0, 60.0))
        await store_stretches(
            connection, [odd, stretch(unit, 5, [3.0], channel="volt"), stretch(unit, 5, [None], "void")]
        )
        found = {one.channel: one for one in await read(connection, unit, points=2)}
        assert [(one.low, one.high) for one in found["temp"].points] == [(1, 2), (4, 4)]
        assert [one.mean for one in found["volt"].points] == [3]
        assert (found["void"].points, found["void"].samples, found["void"].low) == ([], 1, None)


async def test_series_are_told_apart_and_paged(database: Database) -> None:
    async with database.transaction() as connection:
        unit, other = await add_unit(connection, "T-1"), await add_unit(connection, "T-2")
        runs = [stretch(unit, 0, [1.0], f"ch-{n}", run=run) for n in range(3) for run in ("r1", "r2", None)]
        await store_stretches(connection, [*runs, stretch(other, 0, [1.0])])
        everything = [(one.channel, one.run) for one in await read(connection, unit)]
        assert everything == [(f"ch-{n}", run) for n in range(3) for run in (None, "r1", "r2")]
        for limit in (1, 2, 4):
            assert [(one.channel, one.run) for one in await read(connection, unit, limit=limit)] == everything
        assert [one.run for one in await read(connection, unit, channel="ch-1", run="r2")] == ["r2"]
        assert await read(connection, unit, channel="ch-9") == []
        assert all(one.points == [] for one in await read(connection, unit, points=0))
