"""What is measured: a product with five test steps of 20 values each, its units, and what stations say of them.

Twenty units go down the line side by side, so the steps of one unit come close together and must stay in order. One
run in fifty breaks a limit, opens a nonconformance and is run again. All of it is the same at every call.
"""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from mes.commands.act import Act
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.products import put_product
from mes.commands.work_orders import Order, move_order, put_order
from mes.db.partitions import make_partitions
from mes.db.session import Database
from mes.formats.product_document import from_document

STEPS: Final = 5
MEASUREMENTS: Final = 20
STATIONS: Final = 20
FAILED_EVERY: Final = 50
BEGIN: Final = datetime(2026, 11, 2, 6, tzinfo=UTC)
_NAMES: Final = tuple(f"rail_{number:02d}" for number in range(MEASUREMENTS))

TRAY: Final[dict[str, Any]] = {
    "part": "BENCH-TRAY",
    "revision": "A",
    "name": "Tray that is measured with",
    "family": "compute",
    "source": "made",
    "tracking": "serial",
    "bom": [],
    "route": [
        {"step": f"test-{n}", "station_kind": "functional", "needs": list(_NAMES)}
        | ({"after": [f"test-{n - 1}"]} if n else {})
        for n in range(STEPS)
    ],
    "characteristics": [{"name": name, "unit": "V", "low": 0.5, "high": 1.5} for name in _NAMES],
}


class Said(NamedTuple):
    """One run as a station publishes it."""

    topic: str
    payload: bytes
    run: dict[str, Any]


def serials(count: int) -> list[str]:
    """The serials of that many units."""
    return [f"BT{number:07d}" for number in range(count)]


def runs(units: int) -> Iterator[Said]:
    """What the stations say of all steps of that many units, in the order of the floor."""
    seeded = random.Random(20261122)
    number = 0
    for first in range(0, units, STATIONS):
        for step in range(STEPS):
            for unit in range(first, min(first + STATIONS, units)):
                number += 1
                yield _run(seeded, unit, step, number, broken=number % FAILED_EVERY == 0)
                if number % FAILED_EVERY == 0:
                    number += 1
                    yield _run(seeded, unit, step, number, broken=False)


def _run(seeded: random.Random, unit: int, step: int, number: int, *, broken: bool) -> Said:
    station = f"ft-{unit % STATIONS:02d}"
    start = BEGIN + timedelta(milliseconds=100 * number)
    values = [round(seeded.uniform(0.6, 1.4), 6) for _ in _NAMES]
    if broken:
        values[7] = 1.75
    data = {
        "unit": f"BT{unit:07d}",
        "step": f"test-{step}",
        "run": f"{station}-{number}",
        "started_at": start.isoformat(),
        "ended_at": (start + timedelta(milliseconds=90)).isoformat(),
        "outcome": "pass",
        "program": {"name": "tray-functional", "version": "4.2.0"},
        "measurements": [{"name": n, "value": v, "unit": "V"} for n, v in zip(_NAMES, values, strict=True)],
    }
    event = {
        "specversion": "1.0",
        "id": f"{station}/{number:08d}",
        "source": f"stations/{station}",
        "type": "mes.run.reported",
        "time": data["ended_at"],
        "data": data,
    }
    return Said(f"mes/v1/{station}/run", msgspec.json.encode(event), data)


async def set_up(database: Database, units: int) -> None:
    """Define the product, the line with its stations, and release the units."""
    act = Act(database.site, "bench", BEGIN - timedelta(hours=1))
    async with database.transaction() as connection:
        await make_partitions(connection, datetime.now(UTC))
        await put_product(connection, from_document(TRAY), act)
        stations = [StationOfLine(f"ft-{number:02d}", "functional") for number in range(STATIONS)]
        await put_line(connection, "L1", LineCalendar("UTC", (), (), ()), stations, act)
    for start in range(0, units, 5000):
        some = serials(units)[start : start + 5000]
        async with database.transaction() as connection:
            order = f"WO-{start // 5000 + 1}"
            await put_order(connection, Order(order, TRAY["part"], "A", len(some), serials=some), act)
            await move_order(connection, order, "release", act)
