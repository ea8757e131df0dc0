"""A tray's life as the tests of traces tell it: built, failed, repaired, tested again, shipped."""

from mes.commands.nonconformances import diagnose, repair
from mes.commands.shipments import ship
from mes.db.lookup import find_unit
from mes.queries.nonconformances import list_nonconformances
from mes.queries.traces import TraceView, trace_of
from tests.stage import Stage

STATION_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
STATION_SPAN = "00f067aa0ba902b7"


async def build_and_fail(stage: Stage, serial: str = "T1") -> None:
    """Released, built of two GPUs and screws, failed its test; the station traces its run."""
    await stage.release(serial, number=f"WO-{serial}")
    await stage.send(stage.build(serial, 10, f"{serial}-A", f"{serial}-B"))
    run = stage.run(serial, "test", 200, power=500, run="r1")
    run = run._replace(traceparent=f"00-{STATION_TRACE}-{STATION_SPAN}-01")
    await stage.send([stage.message("started", "ft-1", 100, unit=serial, step="test", run="r1"), run])


async def repair_and_ship(stage: Stage, serial: str = "T1") -> None:
    """Diagnosed, a GPU swapped, repaired, passed on retest, shipped."""
    unit = await unit_id(stage, serial)
    async with stage.database.transaction() as connection:
        page = await list_nonconformances(
            connection, "main", state=None, unit=serial, part=None, step=None, limit=9, cursor=None
        )
        await diagnose(connection, page.items[0].id, "GPU1 draws too much", stage.act())
        await repair(connection, page.items[0].id, "GPU1 swapped", stage.act())
    swap = [stage.remove(serial, "GPU1", f"{serial}-A", 300), stage.install(serial, "GPU1", f"{serial}-C", 310)]
    await stage.send([*swap, stage.run(serial, "test", 400, run="r2")])
    async with stage.database.transaction() as connection:
        await ship(connection, unit, stage.act()._replace(at=stage.now), "C-1", "Hall 4")


async def unit_id(stage: Stage, serial: str) -> str:
    async with stage.database.reading() as connection:
        return (await find_unit(connection, serial)).id


async def trace(stage: Stage, serial: str) -> TraceView:
    """The unit's trace as it is worked out now."""
    unit = await unit_id(stage, serial)
    async with stage.database.reading() as connection:
        return await trace_of(connection, unit)
