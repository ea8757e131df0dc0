"""Hours that are over are merged, months that were kept long enough are dropped; what is read stays the same."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from mes.db.partitions import make_partitions
from mes.feeds import telemetry
from mes.queries.samples import Asked, Series, series
from tests.stage import Stage, time


@pytest.fixture
async def stage(stage: Stage) -> Stage:
    """T1 is released."""
    await stage.release("T1")
    return stage


async def take(stage: Stage, begin: float, minutes: int, **more: object) -> None:
    """A rack's telemetry of some minutes: two channels, a message a minute, with a gap in each."""
    await stage.send(
        [
            stage.message(
                "samples",
                "ft-1",
                at=begin + minute * 60,
                unit="T1",
                step="test",
                run="r1",
                start=time(begin + minute * 60),
                period_s=5,
                channels={
                    "GPU1/temperature": [40 + minute + sample / 10 for sample in range(11)] + [None],
                    "GPU2/temperature": [float(minute)] * 12,
                },
                **more,
            )
            for minute in range(minutes)
        ]
    )


async def read(stage: Stage, unit: str = "T1") -> list[Series]:
    async with stage.database.reading() as connection:
        unit_id = (await connection.execute(text("SELECT id FROM unit WHERE serial = :s"), {"s": unit})).scalar_one()
        page = await series(connection, str(unit_id), Asked(points=50), limit=10, cursor=None)
    return list(page.items)


async def rows(stage: Stage) -> list[tuple[str, int, bool]]:
    async with stage.database.reading() as connection:
        found = await connection.execute(
            text("SELECT channel, samples, merged FROM sample_chunk ORDER BY channel, start")
        )
        return [tuple(row) for row in found]


async def test_an_hour_that_is_over_becomes_one_row_of_each_channel(stage: Stage) -> None:
    await take(stage, 0, 65)
    before = await read(stage)
    assert await telemetry.merge(stage.database, stage.now) == 130
    assert await rows(stage) == [
        (f"GPU{gpu}/temperature", samples, True) for gpu in (1, 2) for samples in (60 * 12, 5 * 12)
    ]
    assert await read(stage) == before


async def test_the_hour_that_runs_is_left_alone(stage: Stage) -> None:
    await take(stage, 0, 65)
    assert await telemetry.merge(stage.database, datetime.fromisoformat(time(3600 + 11 * 60))) == 120
    assert {merged for _, samples, merged in await rows(stage) if samples == 12} == {False}


async def test_what_comes_late_is_merged_by_itself(stage: Stage) -> None:
    await take(stage, 0, 10)
    await telemetry.merge(stage.database, stage.now)
    await take(stage, 20 * 60, 10)
    before = await read(stage)
    assert await telemetry.merge(stage.database, stage.now) == 20
    assert await telemetry.merge(stage.database, stage.now) == 0
    assert len(await rows(stage)) == 4
    assert await read(stage) == before


async def test_months_are_dropped_when_all_of_them_is_old(stage: Stage) -> None:
    at = datetime.now(UTC)
    async with stage.database.transaction() as connection:
        await make_partitions(connection, at)
    await take(stage, 0, 1)
    month = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    after = (month + timedelta(days=32)).replace(day=1)
    assert await telemetry.drop(stage.database, after - timedelta(seconds=1)) == []
    assert len(await rows(stage)) == 2
    assert await telemetry.drop(stage.database, after) == [f"sample_chunk_{month:%Y_%m}"]
    assert await rows(stage) == []
    assert await telemetry.drop(stage.database, after) == []


async def test_month_that_somebody_reads_is_dropped_the_next_time(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    at = datetime.now(UTC)
    await take(stage, 0, 1)
    async with stage.database.reading() as reader:
        await reader.execute(text("SELECT count(*) FROM sample_chunk"))
        assert await telemetry.drop(stage.database, at + timedelta(days=32)) == []
        assert f"sample_chunk_{at:%Y_%m} (in use by an open transaction)" in caplog.text
    assert f"sample_chunk_{at:%Y_%m}" in await telemetry.drop(stage.database, at + timedelta(days=32))
