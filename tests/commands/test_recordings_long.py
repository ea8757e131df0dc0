"""Runs of days, told line by line: more lines than can be read at once, and their end counts all the same."""

from typing import Any

import pytest

from mes.commands import recordings
from mes.commands.ingest import Settled
from mes.db import recordings as store
from mes.db.session import driver
from mes.queries import recordings as views
from mes.queries.runs import RunView, run_view
from tests.commands.test_ingest_foreign import journalled
from tests.commands.test_recordings import built, codes, rows, told
from tests.formats.test_ocptv import SCHEMA, named_step, start, step, value
from tests.formats.test_ocptv import end as ended
from tests.stage import Stage, time
from tests.stored_floor import assert_folded_from_journal, picture

BEGAN = 200


def lines(*artifacts: dict[str, Any], first: int = 0) -> list[dict[str, Any]]:
    return [{"sequenceNumber": at, "timestamp": time(BEGAN + at)} | one for at, one in enumerate(artifacts, first)]


def began(*names: str) -> list[dict[str, Any]]:
    """The lines up to the start of each series."""
    starts = [step(measurementSeriesStart={"name": name, "measurementSeriesId": name, "unit": "W"}) for name in names]
    return lines(SCHEMA, start(), named_step("soak"), *starts)


def element(index: int, watts: float, series: str) -> dict[str, Any]:
    return step(measurementSeriesElement={"index": index, "value": watts, "measurementSeriesId": series})


def burn(count: int, *names: str, hot: int = -1) -> list[dict[str, Any]]:
    """The lines of series of 150 W; the value at the index `hot` is 999 W."""
    head = began(*names)
    some = [element(at, 999 if at == hot else 150, name) for at in range(count) for name in names]
    return head + lines(*some, first=len(head))


async def stored(stage: Stage, count: int, *names: str, hot: int = -1) -> int:
    """The same, put into the database at once but for its first lines; gives the next line's number."""
    head = began(*names)
    await stage.send([told("head", head)])
    text = (
        '{"sequenceNumber":%s,"timestamp":"%s","testStepArtifact":{"testStepId":"0","measurementSeriesElement":'
        '{"index":%s,"value":%s,"measurementSeriesId":"%s"}}}'
    )
    async with stage.database.transaction() as connection:
        await (await driver(connection)).execute(
            """
            INSERT INTO recording_line (recording_id, number, digest, artifact, at, received_at, line)
            SELECT r.id, n, '\\x00', 'measurementSeriesElement', $1, $1,
                   format($2, n, to_char($1::timestamptz + n * interval '1 s', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), i / $5,
                          CASE WHEN i / $5 = $6 THEN 999 ELSE 150 END, ($7::text[])[i % $5 + 1])
            FROM recording r, generate_series(0, $4::int - 1) i, LATERAL (SELECT i + $3::int) AS numbers (n)
            """,
            stage.now,
            text,
            len(head),
            count * len(names),
            len(names),
            hot,
            list(names),
        )
        await (await driver(connection)).execute("UPDATE recording SET lines = lines + $1", count * len(names))
    return len(head) + count * len(names)


async def verdicts(stage: Stage) -> list[tuple[Any, ...]]:
    return await rows(stage, "SELECT claim, verdict FROM run")


async def view(stage: Stage) -> RunView:
    ((id,),) = await rows(stage, "SELECT id::text FROM recording")
    async with stage.database.reading() as connection:
        return await run_view(connection, id)


def texts(one: Settled) -> str:
    return " ".join(why.text for why in one.reasons)


async def test_the_end_of_a_run_of_days_counts(stage: Stage) -> None:
    """Three series at one value a second for 19 hours, a power beyond its limit, and a FAIL."""
    await built(stage)
    number = await stored(stage, 70_000, "a", "b", "c")
    tail = lines(value(999, "power", unit="W"), ended(result="FAIL"), first=number)
    await stage.send([told("end", tail)])
    assert await verdicts(stage) == [("fail", "fail")]
    assert len((await picture(stage.database))["nonconformances"]) == 1
    one = await view(stage)
    assert [len(each.value) for each in one.measurements[:6]] == [70_000] * 6
    assert one.measurements[6].verdict == "fail"


async def test_a_series_longer_than_a_measurement_is_judged_on_every_value(stage: Stage) -> None:
    await built(stage)
    number = await stored(stage, 200_000, "power", hot=123_456)
    (one,) = await stage.send([told("end", lines(ended(), first=number))])
    assert await verdicts(stage) == [("pass", "fail")]
    assert "Of the 200000 values of power," in texts(one)
    shown = await view(stage)
    assert shown.reasons[0]["code"] == "limit_broken"
    assert shown.notes
    assert shown.notes["problems"][0].startswith("Of the 200000 values of power,")
    power, offset = shown.measurements
    assert offset.value[power.value.index(999)] == 123_456
    assert len(power.value) <= 100_000


async def test_a_long_series_within_its_limits_passes(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mes.formats.ocptv.measured.SERIES_MAX", 9)
    monkeypatch.setattr(store, "READ_AT_ONCE", 7)
    await built(stage)
    run = burn(50, "power")
    (one,) = await stage.send([told("a", [*run, *lines(ended(), first=len(run))])])
    assert await verdicts(stage) == [("pass", "pass")]
    assert "lines_unreadable" in codes(one)
    assert (await journalled(stage, "mes.run.judged"))[0]["notes"]["problems"][0].startswith(
        "Of the 50 values of power"
    )
    await assert_folded_from_journal(stage.database)


@pytest.mark.parametrize(
    ("result", "watts", "verdict"), [("PASS", 150, "error"), ("PASS", 999, "fail"), ("FAIL", 150, "fail")]
)
async def test_where_values_are_left_out_the_end_counts_and_no_pass_is_believed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, result: str, watts: float, verdict: str
) -> None:
    monkeypatch.setattr(recordings, "ELEMENTS_MAX", 5)
    monkeypatch.setattr(store, "READ_AT_ONCE", 3)
    await built(stage)
    run = burn(10, "a")
    tail = lines(value(watts, "power", unit="W"), ended(result=result), first=len(run))
    (one,) = await stage.send([told("x", [*run, *tail])])
    assert await verdicts(stage) == [(result.lower(), verdict)]
    assert "Values of series up to line 8 were left out: there are too many." in texts(one)
    shown = await view(stage)
    assert (len(shown.measurements[0].value), shown.measurements[2].value) == (5, watts)
    assert ("values_unreadable" in {why["code"] for why in shown.reasons}) == (result == "PASS")
    assert shown.notes
    assert shown.notes["problems"][0] == "Values of series up to line 8 were left out: there are too many."


async def test_of_a_run_that_goes_on_the_newest_values_are_shown(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ELEMENTS_MAX", 4)
    await built(stage)
    run = burn(10, "power", hot=9)
    tail = lines(value(7, "volts"), first=len(run))
    await stage.send([told("x", [*run, *tail])])
    shown = await view(stage)
    power, _, volts = shown.measurements
    assert (power.value, power.verdict, volts.value) == ([150, 150, 150, 999], "fail", 7)
    assert shown.notes
    assert "Values of series up to line 9 were left out: there are too many." in shown.notes["problems"]


async def test_lines_of_one_number_are_read_together(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "READ_AT_ONCE", 2)
    await built(stage)
    run = burn(10, "power")
    late = [{**run[at], **element(at - 4, 999, "power"), "timestamp": time(9000 + at)} for at in range(4, 12)]
    await stage.send([told("a", run), told("b", late)])
    await stage.send([told("c", lines(ended(), first=len(run)))])
    assert await verdicts(stage) == [("pass", "pass")]
    assert (await view(stage)).measurements[0].value == [150] * 10
