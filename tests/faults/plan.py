"""What the stations say while things are killed: runs of a small product, each of which can be told from all others."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mes.commands.act import Act
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.products import put_product
from mes.commands.work_orders import Order, move_order, put_order
from mes.db.partitions import make_partitions
from mes.db.session import Database
from mes.formats.product_document import from_document

STEPS: Final = 5
STATION: Final = "ft-1"
POISON_EVERY: Final = 150
BEGAN: Final = datetime.now(UTC) - timedelta(days=1)

TRAY: Final[dict[str, Any]] = {
    "part": "FAULT-TRAY",
    "revision": "A",
    "name": "Tray that things are killed under",
    "family": "compute",
    "source": "made",
    "tracking": "serial",
    "bom": [],
    "route": [
        {"step": f"test-{number}", "station_kind": "functional", "needs": ["power"]}
        | ({"after": [f"test-{number - 1}"]} if number else {})
        for number in range(STEPS)
    ],
    "characteristics": [{"name": "power", "unit": "W", "low": 100, "high": 200}],
}


def serial(number: int) -> str:
    """The unit that a message is about."""
    return f"F{number // STEPS:06d}"


def run(number: int, poisonous: int = 0) -> dict[str, Any]:
    """The data of one `mes.run.reported`; of the first `poisonous` in every so many the name says that they kill."""
    is_poison = number % POISON_EVERY == POISON_EVERY - 1 and number // POISON_EVERY < poisonous
    at = BEGAN + timedelta(seconds=number)
    return {
        "unit": serial(number),
        "step": f"test-{number % STEPS}",
        "run": f"{'poison' if is_poison else 'r'}-{number}",
        "started_at": (at - timedelta(seconds=1)).isoformat(),
        "ended_at": at.isoformat(),
        "outcome": "pass",
        "measurements": [{"name": "power", "value": 150, "unit": "W"}],
    }


async def set_up(database: Database, messages: int) -> None:
    """Define the product, the line with its station, and release the units."""
    act = Act(database.site, "faults", BEGAN - timedelta(hours=1))
    serials = tuple(dict.fromkeys(serial(number) for number in range(messages)))
    async with database.transaction() as connection:
        await make_partitions(connection, datetime.now(UTC))
        await put_product(connection, from_document(TRAY), act)
        calendar = LineCalendar("UTC", (), (), ())
        await put_line(connection, "L1", calendar, [StationOfLine(STATION, "functional")], act)
        await put_order(connection, Order("WO-1", TRAY["part"], "A", len(serials), serials=serials), act)
        await move_order(connection, "WO-1", "release", act)
