"""Runs told line by line while they go on: visible at once, the same in whatever order and parts their lines come."""

import json
import random
from datetime import timedelta
from typing import Any

from mes.commands.ingest import Settled
from mes.commands.interruptions import Patience, interrupt_overdue
from mes.db.session import driver
from mes.formats.messages import Message
from mes.queries.runs import run_view
from tests.commands.test_ingest_foreign import foreign, journalled
from tests.formats.test_ocptv import SCHEMA, named_step, sample, start, step, value
from tests.formats.test_ocptv import end as ended
from tests.stage import Stage, time
from tests.stored_floor import assert_folded_from_journal, picture

BEGAN = 200
PATIENCE = Patience(900, 86_400)


def lines(*artifacts: dict[str, Any], began: float = BEGAN) -> list[dict[str, Any]]:
    """Artifacts as lines, one a second."""
    return [{"sequenceNumber": at, "timestamp": time(began + at)} | one for at, one in enumerate(artifacts)]


def soak(watts: float = 150, began: float = BEGAN, **more: Any) -> list[dict[str, Any]]:
    """A run of ten lines."""
    power = value(watts, "power", unit="W")
    series = step(measurementSeriesStart={"name": "temp", "measurementSeriesId": "s", "unit": "Cel"})
    elements = [
        step(measurementSeriesElement={"index": at, "value": 40 + at, "measurementSeriesId": "s"}) for at in range(3)
    ]
    stop = step(measurementSeriesEnd={"measurementSeriesId": "s", "totalCount": 3})
    artifacts = [SCHEMA, start(), named_step("soak"), series, *elements, stop, power, ended(**more)]
    return lines(*artifacts, began=began)


def told(id: str, some: list[Any], unit: str = "T1", run: str = "d1", at: float = 300, **more: Any) -> Message:
    data = {"unit": unit, "step": "test", "run": run, "lines": some} | more
    return foreign("run/ocptv", "org.opencompute.ocptv", data, id, at)


async def built(stage: Stage, *units: str) -> None:
    await stage.release(*(units or ("T1",)))
    for at, unit in enumerate(units or ("T1",)):
        await stage.send(stage.build(unit, 0, f"{unit}-G1-{at}", f"{unit}-G2-{at}"))


async def rows(stage: Stage, sql: str) -> list[tuple[Any, ...]]:
    async with stage.database.reading() as connection:
        return [tuple(row) for row in await (await driver(connection)).fetch(sql)]


async def attempts(stage: Stage) -> list[tuple[Any, ...]]:
    """Number, outcome and whether it counts, of each attempt of the step."""
    return await rows(stage, "SELECT number, outcome, counted FROM attempt WHERE step = 'test' ORDER BY number")


def codes(one: Settled) -> set[str]:
    return {why.code for why in one.reasons} - {"not_asked"}


async def test_a_run_is_open_from_its_first_line_and_judged_at_its_end(stage: Stage) -> None:
    await built(stage)
    run = soak()
    first, middle, last = await stage.send([told("a", run[:3]), told("b", run[2:6])]) + await stage.send(
        [told("c", run[6:])]
    )
    assert [first.fate, middle.fate, last.fate] == ["applied"] * 3
    assert await attempts(stage) == [(1, "pass", True)]
    seen = await picture(stage.database)
    assert ("T1", "completed") in seen["units"]
    assert [(row[3], row[5], row[6]) for row in seen["runs"]] == [("d1", "pass", "pass")]
    (judged,) = await journalled(stage, "mes.run.judged")
    assert judged["moved"]["T1"]["after"] == "completed"
    assert len(await journalled(stage, "mes.run.opened")) == 1
    await assert_folded_from_journal(stage.database)


async def test_a_run_in_progress_is_an_open_attempt(stage: Stage) -> None:
    await built(stage)
    (one,) = await stage.send([told("a", soak()[:6])])
    assert one.fate == "applied"
    assert await attempts(stage) == [(1, None, False)]
    assert (await picture(stage.database))["runs"] == []
    await assert_folded_from_journal(stage.database)


async def test_lines_before_their_runs_start_open_nothing_yet(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("b", run[4:7])])
    assert await attempts(stage) == []
    await stage.send([told("a", run[:4])])
    assert await attempts(stage) == [(1, None, False)]


async def test_lines_told_again_are_a_duplicate(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("a", run[:6])])
    texts = [f"[log] {json.dumps(one)}" for one in run[2:5]]
    one, other = await stage.send([told("b", run[:4]), told("c", ["talk", *texts])])
    assert (one.fate, other.fate) == ("duplicate", "duplicate")
    assert len(await rows(stage, "SELECT FROM recording_line")) == 6
    assert await rows(stage, "SELECT fate FROM inbox WHERE id = 'b'") == [("duplicate",)]


def parts(order: random.Random, unit: str, run: list[Any]) -> list[Message]:
    """A run in overlapping messages, some of them twice, in any order; one line is contested by a later one."""
    late = {"timestamp": time(9000), "sequenceNumber": 8} | value(999, "power", unit="W")
    ids = iter(range(100))
    pieces = [[late], *(run[first : first + 4] for first in range(0, len(run), 2))]
    found = [told(f"{unit}-{next(ids)}", piece, unit) for piece in pieces]
    found.append(found[2]._replace(id=f"{unit}-again"))
    order.shuffle(found)
    return found


async def test_the_order_of_messages_never_matters(stage: Stage) -> None:
    units = [f"T{number}" for number in range(10)]
    await built(stage, *units)
    order = random.Random(5)
    for unit in units:
        some = parts(order, unit, soak())
        some.insert(order.randrange(len(some)), stage.run(unit, "test", 150, power=250))
        cut = order.randrange(len(some))
        await stage.send(some[:cut])
        await stage.send(some[cut:])
    seen = await picture(stage.database)
    for what in ("units", "attempts", "runs", "nonconformances"):
        by_unit = {unit: [row[1:] for row in seen[what] if row[0] == unit] for unit in units}
        assert by_unit["T0"], what
        for unit in units:
            assert by_unit[unit] == by_unit["T0"], (what, unit)
    assert {row[8] for row in seen["attempts"] if row[1] == "test"} == {"fail", "pass"}
    await assert_folded_from_journal(stage.database)


async def test_what_is_missing_is_a_deviation_until_it_comes(stage: Stage) -> None:
    await built(stage)
    run = soak()
    (one,) = await stage.send([told("a", run[:8] + run[9:])])
    assert "sequence_gap" in codes(one)
    assert [why.facts["gaps"] for why in one.reasons if why.code == "sequence_gap"] == [[[8, 8]]]
    assert [row[6] for row in (await picture(stage.database))["runs"]] == ["error"]  # the power was not told
    (late,) = await stage.send([told("b", run[8:9])])
    assert (late.fate, codes(late)) == ("applied", {"unknown_characteristic"})
    seen = await picture(stage.database)
    assert [row[6] for row in seen["runs"]] == ["pass"]
    assert ("T1", "completed") in seen["units"]
    assert [one.get("corrects") for one in await journalled(stage, "mes.run.judged")] == [None, "error"]
    await assert_folded_from_journal(stage.database)


async def test_a_line_that_cant_be_read_is_named_to_the_station_and_no_pass_rests_on_it(stage: Stage) -> None:
    await built(stage, "T1", "T2")
    whole = soak()
    unread = json.dumps(whole[5]).replace('"value": 41', '"value": NaN')
    assert "NaN" in unread
    (one,) = await stage.send([told("a", [*whole[:5], unread, *whole[6:]])])
    assert one.fate == "applied"
    assert {why.code: why.text for why in one.reasons}["lines_unreadable"] == (
        "Lines that can't be read: line 5: it holds NaN, which is no JSON; write what is no number as a text."
    )
    assert await rows(stage, "SELECT claim, verdict FROM run") == [("pass", "error")]
    hot = soak(watts=1e6)
    await stage.send([told("c", [*hot[:5], unread, *hot[6:]], unit="T2", run="d2")])
    assert await rows(stage, "SELECT claim, verdict FROM run WHERE run = 'd2'") == [("pass", "fail")]
    await assert_folded_from_journal(stage.database)


async def test_another_line_under_a_known_number_is_noted_and_the_earliest_counts(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("a", run)])
    (other,) = await stage.send([told("b", [{**run[8], **value(999, "power"), "timestamp": time(9999)}])])
    assert (other.fate, "conflicting_report" in codes(other)) == ("applied", True)
    assert [row[6] for row in (await picture(stage.database))["runs"]] == ["pass"]
    (first,) = await stage.send([told("c", [{**run[8], **value(999, "power", unit="W"), "timestamp": time(BEGAN)}])])
    assert first.fate == "applied"
    assert [row[6] for row in (await picture(stage.database))["runs"]] == ["fail"]
    await assert_folded_from_journal(stage.database)


async def test_a_run_whose_end_never_comes_is_interrupted_and_goes_on_if_it_does(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("a", run[:6])])
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now + timedelta(hours=23)) == 0
    stage.now += timedelta(days=2)
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 1
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 0
    assert await attempts(stage) == [(1, "interrupted", False)]
    assert [(row[5], row[6]) for row in (await picture(stage.database))["runs"]] == [("interrupted", "interrupted")]
    (decided,) = await journalled(stage, "mes.run.interrupted")
    assert (decided["because"], decided["lines"]) == ("silent", 6)
    await assert_folded_from_journal(stage.database)
    await stage.send([told("b", run[6:8])])
    assert await attempts(stage) == [(1, None, False)]
    assert (await picture(stage.database))["runs"] == []
    await stage.send([told("c", run[8:])])
    assert await attempts(stage) == [(1, "pass", True)]
    assert ("T1", "completed") in (await picture(stage.database))["units"]
    await assert_folded_from_journal(stage.database)


async def test_a_station_that_stays_offline_interrupts_its_runs(stage: Stage) -> None:
    await built(stage)
    await stage.send([told("a", soak()[:6])])
    gone = stage.message("status", "ft-1", 400, state="offline", since=time(400), will=True)
    await stage.send([gone])
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now + timedelta(minutes=10)) == 0
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now + timedelta(minutes=20)) == 1
    assert (await journalled(stage, "mes.run.interrupted"))[0]["because"] == "station_offline"


HOW = "The program was ended by SIGKILL, and its run had no end."


async def test_a_program_that_died_ends_its_run_at_once(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("a", run[:6])])
    (applied,) = await stage.send([told("b", run[5:6], broken_off=HOW)])  # it tells of the end, and of no new line
    assert applied.fate == "applied"
    assert [one.fate for one in await stage.send([told("c", run[5:6], broken_off=HOW)])] == ["duplicate"]
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 1
    assert await attempts(stage) == [(1, "interrupted", False)]
    (decided,) = await journalled(stage, "mes.run.interrupted")
    assert (decided["because"], decided["broken_off"]) == ("program_ended", HOW)
    ((id,),) = await rows(stage, "SELECT id::text FROM run")
    async with stage.database.reading() as connection:
        recording = (await run_view(connection, id)).recording
    assert recording
    assert (recording.state, recording.broken_off) == ("interrupted", HOW)
    await assert_folded_from_journal(stage.database)


async def test_lines_that_were_delayed_change_nothing_of_a_programs_end_and_later_ones_refute_it(stage: Stage) -> None:
    await built(stage)
    run = soak()
    await stage.send([told("b", run[5:6], broken_off=HOW)])
    await stage.send([told("a", run[:5])])  # they were said before, and came after it
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 1
    await stage.send([told("c", run[6:8])])
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 0
    assert await attempts(stage) == [(1, None, False)]
    await stage.send([told("d", run[8:]), told("e", run[9:], broken_off=HOW)])
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 0
    assert await attempts(stage) == [(1, "pass", True)]
    assert "corrects" not in (await journalled(stage, "mes.run.judged"))[-1]
    await assert_folded_from_journal(stage.database)


async def test_the_next_run_of_the_step_interrupts_the_one_before(stage: Stage) -> None:
    await built(stage)
    await stage.send([told("a", soak()[:6])])
    again = soak(began=400)
    await stage.send([told("b", again, run="d2", at=500)])
    assert await interrupt_overdue(stage.database, PATIENCE, stage.now) == 1
    assert await attempts(stage) == [(1, "interrupted", False), (2, "pass", True)]
    assert (await journalled(stage, "mes.run.interrupted"))[0]["because"] == "next_run"
    await assert_folded_from_journal(stage.database)


async def test_a_golden_run_is_no_attempt(stage: Stage) -> None:
    await built(stage)
    await stage.send([told("a", soak()[:4], purpose="golden")])
    assert await attempts(stage) == []
    await stage.send([told("b", soak(), purpose="golden")])
    assert await attempts(stage) == []
    assert await rows(stage, "SELECT purpose, verdict FROM run") == [("golden", "pass")]


async def test_a_pass_that_never_started_is_the_programs_error(stage: Stage) -> None:
    await built(stage)
    await stage.send([told("a", soak()[2:])])
    assert [(row[5], row[6]) for row in (await picture(stage.database))["runs"]] == [("error", "error")]
    await stage.send([told("b", soak()[:2])])
    assert [(row[5], row[6]) for row in (await picture(stage.database))["runs"]] == [("pass", "pass")]
    assert await attempts(stage) == [(1, "pass", True)]
    await assert_folded_from_journal(stage.database)


async def test_a_clock_that_is_ahead_makes_no_run_shorter(stage: Stage) -> None:
    await built(stage)
    ahead = soak(began=10 * 24 * 3600)
    await stage.send([told("a", ahead[:5])])
    await stage.send([told("b", ahead[5:])])
    ((seconds,),) = await rows(
        stage, "SELECT extract(epoch FROM ended_at - started_at)::int FROM attempt WHERE step = 'test'"
    )
    assert seconds == 8
    await assert_folded_from_journal(stage.database)


async def test_the_public_librarys_runs_are_told(stage: Stage) -> None:
    await built(stage)
    runs: list[list[str]] = []
    for line in sample("ocptv_py_sample_output.txt"):
        if '"schemaVersion"' in line:
            runs.append([])
        if runs:
            runs[-1].append(line)
    settled = await stage.send([told(f"m{at}", run, run=f"s{at}") for at, run in enumerate(runs)])
    assert {one.fate for one in settled} == {"applied"}
    claims = dict(await rows(stage, "SELECT run, claim FROM run"))
    assert len(claims) == len(runs) - 1
    assert set(claims.values()) == {"pass", "skipped"}
    assert await rows(stage, "SELECT run, ended_at FROM recording WHERE verdict IS NULL") == [("s13", None)]
