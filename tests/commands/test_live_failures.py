"""What telemetry does to units in the database: runs that fail while they are on, told to whom it concerns."""

import json
from datetime import timedelta
from typing import Any

import pytest

from mes.commands.ingest import Settled
from mes.db.excursions import KEPT_FOR
from mes.db.session import Database
from mes.feeds.telemetry import forget
from tests.commands.test_ingest_foreign import journalled
from tests.commands.test_recordings import lines, rows, soak, told
from tests.mqtt.test_stops import COOL, HOT, WATCHED, samples, state, verdicts
from tests.stage import GPU, Stage, time
from tests.stored_floor import assert_folded_from_journal


@pytest.fixture
async def floor(database: Database) -> Stage:
    """A built tray T1 whose temperature is watched, and another, T2."""
    stage = Stage(database)
    await stage.set_up(GPU, WATCHED)
    await stage.release("T1", "T2")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), *stage.build("T2", 0, "G3", "G4")])
    return stage


async def begin(floor: Stage, at: float = 100, **more: Any) -> None:
    await floor.send([floor.message("started", "ft-1", at=at, unit="T1", step="test", **more)])


def stops(settled: Settled) -> list[Any]:
    return [one.facts.get("run") for one in settled.reasons if one.code == "limit_broken_live"]


@pytest.mark.parametrize("of_samples", ["r1", None])
@pytest.mark.parametrize("of_end", ["r1", None])
async def test_whoever_names_the_run_it_fails_and_its_row_says_so(
    floor: Stage, of_samples: str | None, of_end: str | None
) -> None:
    await begin(floor, run="r1")
    assert stops(await samples(floor, 110, HOT, run=of_samples)) == ["r1"], "the station can find the run by its name"
    assert await state(floor) == "nonconforming"
    await floor.send([floor.run("T1", "test", 200, run=of_end)])
    assert await state(floor) == "nonconforming"
    assert [verdict for verdict, _ in await verdicts(floor)] == ["fail"]
    await assert_folded_from_journal(floor.database)


async def test_the_stop_is_said_with_each_message_until_the_run_ends(floor: Stage) -> None:
    """Whoever missed it, because ingest ended between its commit and its word, hears it with the next message."""
    await begin(floor, run="r1")
    said = [await samples(floor, 110, HOT), await samples(floor, 140, COOL), await samples(floor, 170, COOL, run=None)]
    assert [stops(one) for one in said] == [["r1"]] * 3
    await floor.send([floor.run("T1", "test", 200, run="r1")])
    assert stops(await samples(floor, 200, HOT)) == []


async def test_a_message_that_comes_late_and_completes_a_stay_tells_the_station(floor: Stage) -> None:
    await begin(floor, run="r1")
    await samples(floor, 110, HOT[:2])
    await samples(floor, 130, HOT[:2])
    assert await state(floor) == "in_process"
    late = await samples(floor, 120, HOT[:2])
    assert stops(late) == ["r1"]
    assert await state(floor) == "nonconforming"
    ((why,),) = await rows(floor, "SELECT reasons FROM nonconformance")
    assert [one["text"] for one in json.loads(why)] == [
        "GPU1/temperature was beyond 85 for 25 s, up to 90; it may be for less than 20 s."
    ]
    assert json.loads(why)[0]["facts"]["since"] == time(110)
    await assert_folded_from_journal(floor.database)


async def test_an_earlier_message_moves_the_moment_at_which_the_limit_broke(floor: Stage) -> None:
    await begin(floor, run="r1")
    await samples(floor, 140, HOT)
    await samples(floor, 110, HOT)
    assert await rows(floor, "SELECT opened_at FROM nonconformance WHERE closed_at IS DISTINCT FROM opened_at") == [
        ((await rows(floor, "SELECT start FROM excursion"))[0][0] + timedelta(seconds=20),)
    ]
    assert await rows(floor, "SELECT count(*) FROM excursion") == [(1,)]
    await assert_folded_from_journal(floor.database)


async def test_what_is_measured_after_the_end_fails_nothing(floor: Stage) -> None:
    await begin(floor, run="r1")
    await floor.send([floor.run("T1", "test", 200, run="r1")])
    await samples(floor, 195, [40.0, 40.0, *HOT])
    await samples(floor, 190, HOT)  # too long only after the end
    await samples(floor, 300, HOT, run=None)
    assert await state(floor) == "completed"
    assert await verdicts(floor) == [("pass", [])]
    await assert_folded_from_journal(floor.database)


async def test_the_row_of_a_recorded_run_that_is_judged_anew_stays_failed(floor: Stage) -> None:
    whole = soak(began=100)
    await floor.send([told("a", whole[:5], run="r1")])
    await samples(floor, 101, HOT, run="r1", period_s=1)
    await samples(floor, 107, HOT * 4, run="r1", period_s=1)
    assert await state(floor) == "nonconforming"
    late = lines(*[{}] * 40, began=100)[39] | {"testRunArtifact": {"log": {"severity": "INFO", "message": "late"}}}
    ending = whole[-1] | {"sequenceNumber": 40, "timestamp": time(150)}
    await floor.send([told("b", [*whole[5:-1], ending], run="r1")])
    assert [verdict for verdict, _ in await verdicts(floor)] == ["fail"]
    await floor.send([told("c", [late], run="r1")])
    assert [verdict for verdict, _ in await verdicts(floor)] == ["fail"]
    assert await state(floor) == "nonconforming"
    await assert_folded_from_journal(floor.database)


async def test_two_units_may_be_tested_under_one_name_from_one_moment_on(floor: Stage) -> None:
    first, second = await samples(floor, 110, COOL), await samples(floor, 110, HOT, unit="T2")
    assert [first.fate, second.fate] == ["applied", "applied"]
    assert await rows(floor, "SELECT serial FROM unit WHERE state = 'nonconforming'") == [("T2",)]
    again = await samples(floor, 110, HOT)
    assert (again.fate, again.reasons[0].code) == ("pending", "conflicting_report")


async def test_a_channel_that_is_out_for_a_moment_now_and_then_leaves_no_trace(floor: Stage) -> None:
    """It makes no message late, and nothing to keep."""
    await begin(floor, run="r1")
    for at in (200, 110, 170, 140):
        await samples(floor, at, [40.0, 90.0, 40.0, 90.0, 90.0, 40.0])
    assert await rows(floor, "SELECT count(*) FROM excursion") == [(0,)]
    assert await journalled(floor, "mes.unit.refolded") == []
    assert "excursions" not in (await journalled(floor, "mes.samples.taken"))[0]["fact"]["what"]
    await samples(floor, 260, [90.0, *COOL])
    await samples(floor, 230, [90.0, *COOL[:4], 90.0])
    assert await rows(floor, "SELECT count(*) FROM excursion") == [(2,)]
    assert await journalled(floor, "mes.unit.refolded") == []
    await forget(floor.database, floor.now + KEPT_FOR + timedelta(seconds=1))
    assert await rows(floor, "SELECT count(*) FROM excursion") == [(0,)]


async def test_a_run_that_broke_a_limit_is_told_of_one_channel_and_lasts(floor: Stage) -> None:
    await begin(floor, run="r1")
    channels = {"GPU1/temperature": HOT, "GPU2/temperature": [90.0, *COOL[1:]]}
    data = {"unit": "T1", "step": "test", "run": "r1", "start": time(110), "period_s": 5, "channels": channels}
    await floor.send([floor.message("samples", "ft-1", at=110, **data)])
    ((why,),) = await rows(floor, "SELECT reasons FROM nonconformance")
    assert [one["facts"]["channel"] for one in json.loads(why)] == ["GPU1/temperature"]
    await forget(floor.database, floor.now + 2 * KEPT_FOR)
    assert await rows(floor, "SELECT channel FROM excursion") == [("GPU1/temperature",)]


@pytest.mark.parametrize("clock", [-2 * 365 * 86_400 * 5, 40 * 3600])
async def test_a_wrong_clock_makes_no_limit_hold(floor: Stage, clock: float) -> None:
    """Telemetry of a station whose clock was never set, or is ahead: too hot is too hot."""
    await begin(floor, clock, run="r1")
    assert stops(await samples(floor, clock + 10, HOT)) == ["r1"]
    assert await state(floor) == "nonconforming"
