"""What depends on arrival, and what must not: the first of two conflicting reports counts, a late fact undoes."""

from sqlalchemy import text

from tests.stage import Stage
from tests.stored_floor import picture


async def test_the_first_of_two_conflicting_reports_counts_also_within_a_batch(stage: Stage) -> None:
    await stage.release("T1", "T2")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), *stage.build("T2", 0, "G3", "G4")])
    first, second = (
        stage.run("T1", "test", 200, run="r1", id="z"),
        stage.run("T1", "test", 200, power=1, run="r1", id="a"),
    )
    third, fourth = (
        stage.run("T2", "test", 200, run="r2", id="b"),
        stage.run("T2", "test", 200, power=1, run="r3", id="b"),
    )
    settled = await stage.send([first, second, third, fourth])
    assert [one.fate for one in settled] == ["applied", "pending", "applied", "rejected"]
    assert {row[6] for row in (await picture(stage.database))["runs"]} == {"pass"}
    assert [one.fate for one in await stage.send([first, third])] == ["duplicate"] * 2


async def test_what_waits_is_pending_however_often_it_comes_at_once(stage: Stage) -> None:
    message = stage.run("T1", "test", 200)
    assert [one.fate for one in await stage.send([message] * 3)] == ["pending"] * 3
    assert [one.fate for one in await stage.send([message] * 2)] == ["pending"] * 2


async def test_a_failure_that_never_counted_leaves_no_open_nonconformance(stage: Stage) -> None:
    """It came before the shipment after which it happened was known."""
    await stage.release("T1")
    await stage.send([stage.run("T1", "test", 900, power=1)])
    assert [row[4] for row in (await picture(stage.database))["nonconformances"]] == ["open"]
    shipped = stage.message("shipped", "ft-1", 500, unit="T1")
    await stage.send([*stage.build("T1", 0, "G1", "G2"), stage.run("T1", "test", 200), shipped])
    assert ("T1", "shipped") in (await picture(stage.database))["units"]
    assert (await picture(stage.database))["nonconformances"] == []
    async with stage.database.reading() as connection:
        rows = await connection.execute(text("SELECT state FROM nonconformance"))
        assert list(rows.scalars()) == ["closed"]
