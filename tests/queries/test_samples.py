"""Telemetry as charts read it: every sample in one bucket, no peak lost, gaps left out."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from sys import float_info
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mes.db.samples import Stretches, store_stretches
from mes.db.session import Database
from mes.queries.samples import Asked, Series, series
from tests.db.units import add_unit, hour

BEGAN = hour(8)
HUGE, TINY = float_info.max, 5e-324


def stretch(unit: str, after_s: float, values: Sequence[float | None], channel: str = "temp", **more: Any) -> Stretches:
    """One stretch of a channel, a sample each second unless `period_s` or `offsets_s` says otherwise."""
    offsets_s = more.get("offsets_s")
    start = BEGAN + timedelta(seconds=after_s)
    period_s = None if offsets_s else more.get("period_s", 1.0)
    step, run = more.get("step", "burn-in"), more.get("run", "r1")
    return Stretches(unit, step, "bay-1", run, start, period_s, offsets_s, {channel: values})


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


async def test_what_is_asked_for_is_found_behind_many_other_channels(database: Database) -> None:
    """A page is not full of channels that have nothing to do with the run or the step."""
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        others = [stretch(unit, 0, [1.0], f"a{number:03}") for number in range(150)]
        wanted = [stretch(unit, 9, [1.0], f"z{number}", run="r2", step="soak") for number in range(3)]
        between = [stretch(unit, 9, [1.0], "a075", run="r2", step="soak")]
        await store_stretches(connection, others + wanted + between)
        for asked in ({"run": "r2"}, {"step": "soak"}, {"run": "r2", "step": "soak"}):
            for limit in (1, 2, 3, 4, 100):
                found = await read(connection, unit, limit=limit, points=0, **asked)
                assert [(one.channel, one.run) for one in found] == [
                    (name, "r2") for name in ("a075", "z0", "z1", "z2")
                ]
        assert await read(connection, unit, run="r2", step="burn-in") == []
        assert [one.channel for one in await read(connection, unit, run="r2", channel="z1")] == ["z1"]
        assert len(await read(connection, unit, limit=10, run="r1", points=0)) == 150


@pytest.mark.parametrize("points", [1, 2, 3, 300])
@pytest.mark.parametrize(
    "values",
    [
        [HUGE] * 9,
        [-HUGE] * 9,
        [40.0, HUGE] * 5,
        [1e308, 1e308, 1e308, -1e308, -1e308, -1e308, 1e308, 1e308],
        [TINY, 0.0],
        [TINY, TINY, 0.0, HUGE],
        [0.85] * 4 + [HUGE] + [0.85] * 4,
    ],
)
async def test_a_sentinel_value_is_read_like_any_other(database: Database, values: list[float], points: int) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        await store_stretches(connection, [stretch(unit, at, values[at : at + 3]) for at in range(0, len(values), 3)])
        (whole,) = await read(connection, unit, points=points)
    assert (whole.low, whole.high) == (min(values), max(values))
    told = iter(values)
    for one in whole.points:
        there = [next(told) for _ in range(one.samples)]
        assert (one.low, one.high) == (min(there), max(there))
        assert one.low <= one.mean <= one.high
        assert one.mean == pytest.approx(mean_of(there), rel=1e-12, abs=1e-12 * max(map(abs, there)))
    assert next(told, None) is None


def mean_of(values: Sequence[float]) -> float:
    return float(sum(map(Fraction, values)) / len(values))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=12), st.integers(1, 5))
async def test_any_doubles_are_read(database: Database, values: list[float], points: int) -> None:
    async with database.engine.connect() as connection:  # what is stored goes again
        unit = await add_unit(connection, "T-1")
        await store_stretches(connection, [stretch(unit, at, values[at : at + 4]) for at in range(0, len(values), 4)])
        (whole,) = await read(connection, unit, points=points)
    assert (min(one.low for one in whole.points), max(one.high for one in whole.points)) == (min(values), max(values))
    assert all(one.low <= one.mean <= one.high for one in whole.points)


@pytest.mark.parametrize("stored", ["'Infinity'", "'-Infinity'", "'NaN'"])
async def test_a_mean_that_could_once_not_be_stored_is_worked_out_anew(database: Database, stored: str) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        await store_stretches(connection, [stretch(unit, 0, [HUGE, 0.0, HUGE, 0.0])])
        await connection.execute(text(f"UPDATE sample_chunk SET mean = {stored}"))
        (whole,) = await read(connection, unit, points=1)
        assert [(one.samples, one.mean) for one in whole.points] == [(4, HUGE / 2)]


@pytest.mark.parametrize("points", [1, 2, 300])
@pytest.mark.parametrize("period_s", [1 / 3, 1 / 3 + 1e-7, 1 / 7, 1 / 60, 0.0333333333, 0.1, 0.7, 1e-7, 5e-324])
async def test_the_last_sample_is_in_a_point_whatever_the_period(
    database: Database, period_s: float, points: int
) -> None:
    """A sample lies at a whole microsecond, as every time here: also where its period does not."""
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        for count in (2, 4, 5, 10, 60, 61):
            values = [1.0] * (count - 1) + [99.0]
            await store_stretches(connection, [stretch(unit, 0, values, f"{count}", period_s=period_s)])
        for one in await read(connection, unit, points=points):
            assert (sum(point.samples for point in one.points), one.points[-1].high) == (int(one.channel), 99)
            assert one.since <= one.points[0].at <= one.points[-1].at <= one.until


async def test_both_ends_of_a_time_hold_the_samples_that_lie_on_them(database: Database) -> None:
    async with database.transaction() as connection:
        unit = await add_unit(connection, "T-1")
        await store_stretches(connection, [stretch(unit, 0, [float(one) for one in range(7)], period_s=1 / 3)])
        at = [BEGAN + timedelta(microseconds=round(one * 1e6 / 3)) for one in range(7)]
        first, last = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        for since, until, low, high in (
            (at[1], at[5], 1, 5),
            (at[2], at[2], 2, 2),
            (first, at[4], 0, 4),
            (at[3], last, 3, 6),
            (first, last, 0, 6),
        ):
            (one,) = await read(connection, unit, since=since, until=until, points=2000)
            assert (min(point.low for point in one.points), max(point.high for point in one.points)) == (low, high)
        micro = timedelta(microseconds=1)
        (one,) = await read(connection, unit, since=at[1] + micro, until=at[4] - micro, points=2000)
        assert [(point.at, point.low) for point in one.points] == [(at[2], 2), (at[3], 3)]
