"""A small rack and the trays that go into it, on a real database: what tests of benches and units begin with."""

from typing import Any

from mes.db.session import Database
from tests.stage import GPU, TRAY, Stage

RACK: dict[str, Any] = {
    "part": "RACK-1",
    "revision": "A",
    "name": "Test rack, 12 U",
    "family": "rack",
    "source": "made",
    "tracking": "serial",
    "bom": [
        {"positions": ["U1", "U2", "U3"], "part": "TRAY-1", "retest_from": "check"},
        {"position": "PSU1", "part": "PSU-1", "alternates": ["PSU-2"]},
        {"position": "BOLTS", "part": "BOLT-1", "quantity": 8},
    ],
    "route": [
        {"step": "mount", "station_kind": "assembly", "installs": ["U1", "U2", "PSU1", "BOLTS"]},
        {"step": "cable", "station_kind": "assembly", "after": ["mount"], "needs": ["torque", "tidy"]},
        {"step": "check", "station_kind": "functional", "after": ["cable"], "needs": ["power"]},
        {"step": "slow", "station_kind": "assembly", "after": ["check"], "min_s": 600},
    ],
    "characteristics": [
        {"name": "power", "unit": "W", "low": 100, "high": 200},
        {"name": "torque", "unit": "Nm", "low": 4, "high": 6},
        {"name": "tidy", "equals": True},
    ],
}
BOLT: dict[str, Any] = {
    "part": "BOLT-1",
    "revision": "A",
    "name": "Bolt",
    "family": "component",
    "source": "bought",
    "tracking": "lot",
}
TRAYS = ("T-1", "T-2", "T-3")


async def racks_and_trays(database: Database) -> Stage:
    """Rack R-1 that nothing was done to, trays T-1 and T-2 that are finished, and T-3 that is not."""
    stage = Stage(database)
    await stage.set_up(GPU, TRAY, BOLT, RACK)
    await stage.release(*TRAYS)
    await stage.release("R-1", number="WO-2", part="RACK-1")
    for index, tray in enumerate(TRAYS[:2]):
        await stage.send(stage.build(tray, 1000.0 * index, f"G-{index}1", f"G-{index}2"))
        await stage.send([stage.run(tray, "test", 1000.0 * index + 200)])
    return stage
