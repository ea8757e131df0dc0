"""A grant is one station's, for some time; and no grant passes over a message that was said and is not applied."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from mes.commands.asking import Answer, answer, not_settled
from mes.commands.awaiting import Arrivals
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.formats.messages import decode
from tests.commands.test_asking import ask, asked, codes
from tests.stage import Stage
from tests.stored_floor import assert_folded_from_journal

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def floor(stage: Stage) -> Stage:
    """With a tray that is to be tested, at either of two testers."""
    await stage.set_up()
    async with stage.database.transaction() as connection:
        stations = [StationOfLine("ft-2", "functional")]
        await put_line(connection, "L2", LineCalendar("UTC", (), (), ()), stations, stage.act())
    await stage.release("T1", "T2")
    await stage.send(stage.build("T1", 0, "G1", "G2"))
    return stage


async def waited(stage: Stage, id: str, *after: str) -> Answer:
    message = ask(id, "T1", "test", "ft-1", after=list(after))
    return await answer(stage.database, message, await not_settled(Arrivals(stage.database), message, 0.3), stage.now)


def at(stage: Stage) -> float:
    """This moment, in seconds after the start of the day."""
    return (stage.now - stage.now.replace(hour=8, minute=0, second=0)).total_seconds()


async def test_a_grant_said_again_holds_as_long_as_it_did(floor: Stage) -> None:
    message = ask("a1", "T1", "test", "ft-1")
    first = await asked(floor, message)
    floor.now += timedelta(seconds=99.5)
    again = await asked(floor, message)
    assert (first.valid_s, again.granted, again.grant, again.valid_s) == (300, True, first.grant, 199)


async def test_a_grant_that_ended_is_not_told_as_one(floor: Stage) -> None:
    message = ask("a1", "T1", "test", "ft-1")
    ends = floor.now + timedelta(seconds=301)
    assert (await asked(floor, message)).granted
    floor.now += 16 * MINUTE
    again = await asked(floor, message)
    assert (again.granted, again.grant, again.valid_s, codes(again)) == (False, None, None, ["grant_ended"])
    assert again.reasons[0].text == f"This grant ended at {ends:%Y-%m-%d %H:%M:%S} UTC; ask under a new id."
    assert (await asked(floor, ask("a2", "T1", "test", "ft-1"))).granted


async def test_a_refusal_said_again_stays_what_it_was(floor: Stage) -> None:
    message = ask("a1", "T2", "test", "ft-1")
    first = await asked(floor, message)
    floor.now += 16 * MINUTE
    assert await asked(floor, message) == first


async def test_two_stations_do_not_both_get_the_same_step(floor: Stage) -> None:
    assert (await asked(floor, ask("a1", "T1", "test", "ft-1"))).granted
    until = floor.now + timedelta(seconds=300)
    other = await asked(floor, ask("a2", "T1", "test", "ft-2"))
    assert codes(other) == ["already_open"]
    assert other.reasons[0].text == f"test was granted to ft-1 until {until:%H:%M:%S} UTC."
    assert other.reasons[0].facts["stations"] == ["ft-1"]
    assert (await asked(floor, ask("a1", "T1", "test", "ft-1"))).granted
    assert (await asked(floor, ask("a3", "T1", "test", "ft-1"))).granted
    assert (await asked(floor, ask("a4", "T2", "build"))).granted  # another unit
    await assert_folded_from_journal(floor.database)


async def test_a_grant_that_nobody_uses_lapses(floor: Stage) -> None:
    assert (await asked(floor, ask("a1", "T1", "test", "ft-1"))).granted
    floor.now += 4 * MINUTE
    assert codes(await asked(floor, ask("a2", "T1", "test", "ft-2"))) == ["already_open"]
    floor.now += MINUTE
    assert (await asked(floor, ask("a3", "T1", "test", "ft-2"))).granted


@pytest.mark.parametrize("outcome", ["fail", "error"])
async def test_a_grant_is_for_one_start(floor: Stage, outcome: str) -> None:
    """Once what was granted has been done, the next attempt may be made elsewhere."""
    assert (await asked(floor, ask("a1", "T1", "test", "ft-1"))).granted
    started = floor.message("started", "ft-1", at(floor), unit="T1", step="test", run="r1")
    floor.now += timedelta(seconds=5)
    await floor.send([started])
    assert codes(await asked(floor, ask("a2", "T1", "test", "ft-2"))) == ["already_open"]
    await floor.send([floor.message("completed", "ft-1", at(floor), unit="T1", step="test", run="r1", outcome=outcome)])
    assert (await asked(floor, ask("a3", "T1", "test", "ft-2"))).granted


async def test_a_refusal_gives_the_step_to_others(floor: Stage) -> None:
    assert (await asked(floor, ask("a1", "T1", "test", "ft-1"))).granted
    refused = ask("a2", "T1", "test", "ft-1", parts=[{"part": "GPU-9", "serial": "G9"}])
    assert not (await asked(floor, refused)).granted
    assert (await asked(floor, ask("a3", "T1", "test", "ft-2"))).granted


async def test_a_message_that_waits_is_not_passed_over(floor: Stage) -> None:
    lost = floor.message("started", "ft-1", 90, "i1", unit="T9", step="test")
    (settled,) = await floor.send([lost])
    assert settled.fate == "pending"
    began = time.monotonic()
    told = await waited(floor, "a1", "i1")
    assert time.monotonic() - began < 0.25
    assert [(one.code, one.text) for one in told.reasons] == [
        ("facts_pending", "Message i1 waits: No unit has the serial T9 yet.")
    ]
    assert told.reasons[0].facts == {"messages": ["i1"]}
    await floor.release("T9", number="WO-9")
    await floor.settle_pending()
    assert (await waited(floor, "a2", "i1")).granted


async def test_a_message_that_was_rejected_is_said_to_be(floor: Stage) -> None:
    await floor.send([rejected(floor, "v1")])
    began = time.monotonic()
    told = await waited(floor, "a1", "v1")
    assert time.monotonic() - began < 0.25
    (only,) = told.reasons
    assert only.code == "facts_pending"
    assert only.text.startswith("Message v1 was rejected (")
    assert only.text.endswith("); mend it and say it again.")
    mended = floor.message("started", "ft-1", 90, "v1", unit="T2", step="build")
    await floor.send([mended])
    assert (await waited(floor, "a2", "v1")).granted


def rejected(stage: Stage, id: str) -> Any:
    """What `decode` makes of a message that can't be read."""
    said = (
        f'{{"specversion": "1.0", "id": "{id}", "source": "stations/ft-1", "type": "mes.step.started",'
        ' "time": "2026-11-02T08:00:00Z", "data": {"unit": "T2", "step": 7, "at": "2026-11-02T08:00:00Z"}}'
    )
    (one,) = decode("ft-1", "step", said.encode())
    return one


async def test_all_that_is_late_is_told_at_once(floor: Stage) -> None:
    await floor.send([rejected(floor, "v1"), floor.message("started", "ft-1", 90, "i1", unit="T9", step="test")])
    told = await waited(floor, "a1", "v1", "lost", "i1")
    assert codes(told) == ["facts_pending"] * 3
    assert {one for why in told.reasons for one in why.facts["messages"]} == {"v1", "lost", "i1"}


async def test_one_that_comes_to_wait_meanwhile_is_told(floor: Stage) -> None:
    arrivals = Arrivals(floor.database)
    asking = asyncio.create_task(not_settled(arrivals, ask("a1", "T1", "test", "ft-1", after=["i1"]), 10))
    await asyncio.sleep(0.1)
    await floor.send([floor.message("started", "ft-1", 90, "i1", unit="T9", step="test")])
    (late,) = await asking
    assert (late.id, late.fate) == ("i1", "pending")


async def test_a_waiting_fact_about_the_unit_keeps_it_from_going_on(floor: Stage) -> None:
    fail = floor.message("completed", "ft-7", 90, "u1", unit="T1", step="test", outcome="fail")
    (settled,) = await floor.send([fail])
    assert settled.fate == "pending"
    told = await asked(floor, ask("a1", "T1", "test", "ft-1"))
    assert [one.text for one in told.reasons] == [
        "Message u1 of ft-7 waits: No station named ft-7 is registered; add it to a line."
    ]
    assert (await asked(floor, ask("a2", "T2", "build"))).granted


async def test_a_waiting_fact_is_told_once(floor: Stage) -> None:
    child = {"part": "X", "serial": "1"}
    lost = floor.message("installed", "ft-1", 90, "i1", parent="T1", position="GPU1", child=child)
    (settled,) = await floor.send([lost])
    assert settled.fate == "pending"
    assert codes(await waited(floor, "a1", "i1")) == ["facts_pending"]
