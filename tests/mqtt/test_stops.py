"""A limit broken while a run is on: the unit fails at once, and the station hears that it should stop."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text

from mes.commands.ingest import Settled, settle
from mes.db.session import Database
from mes.embedded.broker import Broker
from mes.formats.messages import Arrived, RunStop, SamplesTaken, UnitRef
from mes.mqtt import consumer, topics
from mes.mqtt.bridge import Bridge
from mes.mqtt.stops import write_stops
from stations.client import Station
from tests.mqtt.floor import V311
from tests.stage import GPU, TRAY, Stage, time
from tests.stored_floor import assert_folded_from_journal

TEMPERATURE = {"name": "temperature", "unit": "Cel", "high": 85, "beyond_s": 20}
WATCHED = TRAY | {"characteristics": [*TRAY["characteristics"], TEMPERATURE]}
HOT, COOL = [90.0] * 6, [40.0] * 6


async def floor(url: str) -> Stage:
    stage = Stage(Database(url))
    await stage.set_up(GPU, WATCHED)
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    return stage


async def samples(stage: Stage, at: float, values: list[float], **more: Any) -> Settled:
    """Telemetry of a run on one channel, a sample each 5 s, and what became of it."""
    told = {"unit": "T1", "step": "test", "run": "r1", "start": time(at), "period_s": 5} | more
    (settled,) = await stage.send(
        [stage.message("samples", "ft-1", at=at, **told, channels={"GPU1/temperature": values})]
    )
    return settled


async def state(stage: Stage) -> str:
    async with stage.database.reading() as connection:
        return str((await connection.execute(text("SELECT state FROM unit WHERE serial = 'T1'"))).scalar_one())


async def test_a_golden_run_moves_no_unit_however_hot_it_gets(database_url: str) -> None:
    stage = await floor(database_url)
    await stage.send([stage.message("started", "ft-1", at=100, unit="T1", step="test", run="r1")])
    settled = await samples(stage, 110, HOT, purpose="golden")
    assert (settled.fate, settled.reasons) == ("applied", ())
    assert await state(stage) == "in_process"
    async with stage.database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM nonconformance"))).scalar_one() == 0
    await stage.database.close()


async def test_a_stay_over_two_messages_fails_the_unit_with_the_message_that_completes_it(database_url: str) -> None:
    stage = await floor(database_url)
    await stage.send([stage.message("started", "ft-1", at=100, unit="T1", step="test", run="r1")])
    first = await samples(stage, 110, [40.0, 40.0, 40.0, 90.0, 90.0, 90.0])
    assert first.reasons == ()
    assert await state(stage) == "in_process"
    second = await samples(stage, 140, HOT)
    (why,) = second.reasons
    assert (why.code, why.facts["unit"], why.facts["step"], why.facts["run"]) == (
        "limit_broken_live",
        "T1",
        "test",
        "r1",
    )
    assert "GPU1/temperature was beyond 85 for 40 s" in why.text
    assert await state(stage) == "nonconforming"
    (ended,) = await stage.send([stage.run("T1", "test", 200, run="r1", outcome="aborted")])
    assert "limit_broken_live" in {one.code for one in ended.reasons}
    stops = [[*write_stops([one], "mes/test", datetime.now(UTC))] for one in (first, second, ended)]
    assert [len(told) for told in stops] == [0, 1, 0], "a run that has ended needs no stop"
    await assert_folded_from_journal(stage.database)
    await stage.database.close()


async def test_the_row_of_the_run_says_that_it_failed_and_why_however_late_that_is_known(database_url: str) -> None:
    stage = await floor(database_url)
    await stage.send([stage.message("started", "ft-1", at=100, unit="T1", step="test", run="r1")])
    await samples(stage, 110, [90.0] * 2, period_s=10)
    await stage.send([stage.run("T1", "test", 200, run="r1")])
    assert await verdicts(stage) == [("pass", [])]
    await samples(stage, 130, [90.0])
    assert await verdicts(stage) == [("fail", [("limit_broken_live", "pass")])]
    await assert_folded_from_journal(stage.database)
    ended = stage.message("completed", "ft-1", at=125, unit="T1", step="test", run="r1", outcome="pass")
    await stage.send([ended])  # what was measured after the end is no part of the run
    assert await verdicts(stage) == [("pass", [])]
    await assert_folded_from_journal(stage.database)
    await stage.database.close()


async def verdicts(stage: Stage) -> list[tuple[str, list[tuple[str, str]]]]:
    """What the rows of runs say: the verdict, and each reason with the verdict of the values."""
    async with stage.database.reading() as connection:
        found = await connection.execute(text("SELECT verdict, reasons FROM run ORDER BY id"))
        return [
            (verdict, [(one["code"], one["facts"].get("verdict_of_values")) for one in json.loads(reasons)])
            for verdict, reasons in found
        ]


async def test_a_message_that_comes_late_completes_a_stay(database_url: str) -> None:
    stage = await floor(database_url)
    await samples(stage, 110, [90.0] * 2, period_s=10)
    await samples(stage, 140, [90.0] * 2, period_s=10)
    assert await state(stage) == "in_process"
    late = await samples(stage, 130, [90.0], period_s=10)
    assert [one.code for one in late.reasons] == ["limit_broken_live"]
    assert await state(stage) == "nonconforming"
    await assert_folded_from_journal(stage.database)
    await stage.database.close()


async def test_a_product_that_watches_nothing_fails_by_no_telemetry(database_url: str) -> None:
    stage = Stage(Database(database_url))
    await stage.set_up()
    await stage.release("T1")
    assert (await samples(stage, 110, [1e9] * 100)).reasons == ()
    await stage.database.close()


async def test_the_station_is_told_to_stop_the_run(each_broker: Broker, database_url: str, tmp_path: Path) -> None:
    stage = await floor(database_url)
    stops: list[RunStop] = []

    async def settle_batch(arrived: Sequence[Arrived], at: datetime) -> Sequence[Settled]:
        return await settle(stage.database, arrived, at)

    async with Bridge(each_broker.url, "mes-ingest-test-0", topics.ingest_subscriptions(), protocols=V311) as bridge:
        await bridge.connected()
        work = asyncio.create_task(consumer.run(bridge, consumer.here(settle_batch, source="mes/test")))
        try:
            await asyncio.to_thread(_burn, each_broker.url, tmp_path, stops)
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work
    assert stops[0].unit == UnitRef("T1")
    assert (stops[0].step, stops[0].run) == ("test", "burn-1")
    assert [one.code for one in stops[0].reasons] == ["limit_broken_live"]
    await stage.database.close()


def _burn(url: str, folder: Path, stops: list[RunStop]) -> None:
    start = datetime.now(UTC) - timedelta(seconds=60)
    with Station(url, "ft-1", spool=folder / "spool.db", on_stop=stops.append) as station:
        station.connected()
        station.post(SamplesTaken(UnitRef("T1"), "test", start, {"GPU1/temperature": HOT}, run="burn-1", period_s=5))
        for _ in range(1200):
            if stops:
                return
            asyncio.run(asyncio.sleep(0.05))
