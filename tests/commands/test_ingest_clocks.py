"""Stations whose clock is wrong: what they say is on the record as of its arrival, and they are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mes.commands.ingest import Settled
from mes.queries.shift_runs import ShiftRuns
from tests.commands.test_recordings import rows, soak, told
from tests.stage import START, Stage
from tests.stored_floor import assert_folded_from_journal, picture

UNSET = [datetime(1970, 1, 1, 0, 0, 10, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), datetime(2012, 1, 1, tzinfo=UTC)]
"""Where clocks without a battery begin: those of computers, of PLCs."""


def _seconds(clock: datetime) -> float:
    """A moment as the stage's messages take it."""
    return (clock - START).total_seconds()


def _skew(settled: Settled) -> list[str]:
    return [why.text for why in settled.reasons if why.code == "clock_skew"]


async def test_a_clock_ahead_is_told_and_the_fact_is_as_of_its_arrival(stage: Stage) -> None:
    await stage.release("T1")
    (settled,) = await stage.send([stage.message("started", "as-1", 20 * 3600, unit="T1", step="build")])
    assert _skew(settled) == ["The event lies 28799 s ahead of the MES's clock; it is recorded as of its arrival."]
    assert await rows(stage, "SELECT started_at FROM attempt") == [(stage.now,)]


@pytest.mark.parametrize("clock", UNSET)
async def test_a_station_whose_clock_was_never_set_is_heard_all_the_same(stage: Stage, clock: datetime) -> None:
    await stage.release("T1")
    at = _seconds(clock)
    built = await stage.send(stage.build("T1", at, "G1", "G2"))
    (run,) = await stage.send([stage.run("T1", "test", at + 600)])
    assert {one.fate for one in (*built, run)} == {"applied"}
    text = f"The event is said to be of {clock.year}: the station's clock is not set. It is recorded as of its arrival."
    assert [_skew(one) for one in (*built, run)] == [[text]] * 6
    assert ("T1", "completed") in (await picture(stage.database))["units"]
    began_at = stage.now - timedelta(seconds=60)
    assert await rows(stage, "SELECT started_at, ended_at FROM attempt WHERE step = 'test'") == [(began_at, stage.now)]
    assert (await stage.send([stage.run("T1", "test", at + 600)]))[0].fate == "duplicate"
    await assert_folded_from_journal(stage.database)


async def test_a_clock_that_is_set_in_mid_run_makes_no_run_of_fifty_years(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    began = UNSET[0].isoformat()
    await stage.send([stage.run("T1", "test", 500, started_at=began)])
    ended_at = START + timedelta(seconds=500)
    assert await rows(stage, "SELECT started_at, ended_at FROM attempt WHERE step = 'test'") == [(ended_at, ended_at)]


@pytest.mark.parametrize("clock", UNSET)
async def test_lines_of_a_program_whose_clock_was_never_set_are_read(stage: Stage, clock: datetime) -> None:
    await stage.release("T1")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    await stage.send([told("a", soak(began=_seconds(clock)), at=_seconds(clock) + 20)])
    began_at = stage.now - timedelta(seconds=8)  # from its start, in the second line, to its end
    assert await rows(stage, "SELECT started_at, ended_at, outcome FROM attempt WHERE step = 'test'") == [
        (began_at, stage.now, "pass")
    ]
    await assert_folded_from_journal(stage.database)


async def test_a_shift_counts_the_runs_of_a_station_whose_clock_was_never_set(stage: Stage) -> None:
    await stage.release("T1")
    await stage.send([stage.run("T1", "test", _seconds(UNSET[0]) + 600)])
    async with stage.database.reading() as connection:
        shift = await ShiftRuns().read(connection, START, stage.now)
    assert [run.ended_at for run in shift.first.values()] == [stage.now]


async def test_a_status_is_as_of_its_arrival_too(stage: Stage) -> None:
    at = _seconds(UNSET[0])
    data: dict[str, Any] = {"state": "down", "since": UNSET[0].isoformat()}
    (settled,) = await stage.send([stage.message("status", "as-1", at, **data)])
    assert settled.fate == "applied"
    assert await rows(stage, "SELECT state_since FROM station WHERE name = 'as-1'") == [(stage.now,)]
