"""The view `measurement`, for reporting tools: a row per value, whatever is left out of the run's own row."""

from mes.db.session import driver
from tests.stage import Stage


async def test_each_value_has_its_limits_and_its_verdict(stage: Stage) -> None:
    await stage.release("T1", "T2")
    for unit, gpus in (("T1", ("G1", "G2")), ("T2", ("G3", "G4"))):
        await stage.send(stage.build(unit, 0, *gpus))
    await stage.send([stage.run("T1", "test", 200), stage.run("T2", "test", 300, power=999)])
    await stage.send([stage.run("T2", "test", 400, outcome="error")])
    async with stage.database.reading() as connection:
        rows = await (await driver(connection)).fetch(
            "SELECT name, value, unit, low, high, run_verdict, verdict FROM measurement ORDER BY started_at"
        )
    assert [tuple(row) for row in rows] == [
        ("power", 150, "W", 100, 200, "pass", "pass"),
        ("power", 999, "W", 100, 200, "fail", "fail"),
        ("power", 150, "W", 100, 200, "error", "unset"),
    ]
