"""Recorded runs of which something is odd: what is missing, measured twice, or more than a young database expects."""

import json

from mes.db.recordings import contested, ends_of, gaps_of
from mes.db.session import driver
from tests.commands.test_recordings import built, lines, rows, soak, told
from tests.formats.test_ocptv import SCHEMA, named_step, start, value
from tests.formats.test_ocptv import end as ended
from tests.stage import Stage
from tests.stored_floor import assert_folded_from_journal


async def test_no_pass_rests_on_a_line_that_never_came(stage: Stage) -> None:
    await built(stage)
    twice = soak()
    twice[6] = twice[6] | value(1e6, "power", unit="W")  # beside the one in line 8, which is fine
    await stage.send([told("a", [*twice[:6], *twice[7:]])])
    assert await rows(stage, "SELECT claim, verdict FROM run") == [("pass", "error")]
    ((why,),) = await rows(stage, "SELECT reasons FROM run")
    assert [one["text"] for one in json.loads(why)] == [
        "The diagnostic claims a pass; a measured value may have been in lines that are missing: 6."
    ]
    await stage.send([told("b", twice[6:7])])
    assert await rows(stage, "SELECT claim, verdict FROM run") == [("pass", "fail")]
    await assert_folded_from_journal(stage.database)


async def test_a_value_that_is_measured_twice_is_judged_twice(stage: Stage) -> None:
    await built(stage, "T1", "T2")
    fine, broken = value(150, "power", unit="W"), value(1e6, "power", unit="W")
    in_one_step = [named_step("soak"), fine, broken]
    in_two_steps = [named_step("soak"), fine, named_step("again", "1"), value(1e6, "power", "1", unit="W")]
    for unit, some in (("T1", in_one_step), ("T2", in_two_steps)):
        await stage.send([told(unit, lines(SCHEMA, start(), *some, ended()), unit=unit, run=unit)])
    assert await rows(stage, "SELECT claim, verdict FROM run") == [("pass", "fail")] * 2


async def test_the_ends_of_a_long_run_are_found_however_young_the_database_is(stage: Stage) -> None:
    """Statistics of a small table make a plan that takes minutes once it is large."""
    await built(stage)
    await stage.send([told("a", soak()[:-1])])
    async with stage.database.transaction() as connection:
        raw = await driver(connection)
        await raw.execute("ANALYZE recording_line")
        await raw.execute(
            """
            INSERT INTO recording_line (recording_id, number, digest, artifact, received_at, line)
            SELECT recording_id, n, digest, 'log', received_at, '{}' FROM recording_line, generate_series(10, 40000) n
            WHERE number = 1
            """
        )
        await raw.execute("SET LOCAL statement_timeout = '5s'")
        ((id,),) = await raw.fetch("SELECT id::text FROM recording")
        assert len(await ends_of(connection, id)) == 1
        assert await contested(connection, id, range(40_000)) == []
        assert await gaps_of(connection, id, 10) == [(9, 9)]
