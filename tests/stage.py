"""A small floor for tests: a product, stations, an order, and messages as stations send them, on a real database."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mes.commands.act import Act
from mes.commands.ingest import Settled, settle, settle_pending
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.products import put_product
from mes.commands.work_orders import Order, move_order, put_order
from mes.db.session import Database
from mes.formats.messages import Message, decode
from mes.formats.product_document import from_document

START = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)
"""When the floor's day begins; stations speak from here on, the MES hears it some hours later."""
ARRIVAL = START + timedelta(hours=12)

TRAY: dict[str, Any] = {
    "part": "TRAY-1",
    "revision": "A",
    "name": "Test tray",
    "family": "compute",
    "source": "made",
    "tracking": "serial",
    "bom": [
        {
            "positions": ["GPU1", "GPU2"],
            "part": "GPU-1",
            "alternates": ["GPU-2"],
            "retest_from": "test",
        },
        {"position": "SCREWS", "part": "SCREW-1", "quantity": 4},
    ],
    "route": [
        {"step": "build", "station_kind": "assembly", "installs": ["GPU1", "GPU2", "SCREWS"]},
        {"step": "test", "station_kind": "functional", "after": ["build"], "needs": ["power"], "attempts": 2},
    ],
    "characteristics": [{"name": "power", "unit": "W", "low": 100, "high": 200}],
}
GPU: dict[str, Any] = {
    "part": "GPU-1",
    "revision": "A",
    "name": "Test GPU",
    "family": "component",
    "source": "bought",
    "tracking": "serial",
}
TYPES = {
    "started": ("step", "mes.step.started"),
    "completed": ("step", "mes.step.completed"),
    "installed": ("assembly", "mes.part.installed"),
    "removed": ("assembly", "mes.part.removed"),
    "run": ("run", "mes.run.reported"),
    "samples": ("samples", "mes.samples.taken"),
    "loaded": ("material", "mes.material.loaded"),
    "unloaded": ("material", "mes.material.unloaded"),
    "received": ("unit", "mes.part.received"),
    "identified": ("unit", "mes.unit.identified"),
    "packed": ("unit", "mes.unit.packed"),
    "shipped": ("unit", "mes.unit.shipped"),
    "status": ("status", "mes.station.status"),
}


@dataclass
class Stage:
    """A database with a line `L1` of the stations as-1 (assembly) and ft-1 (functional)."""

    database: Database
    now: datetime = ARRIVAL
    ids: "itertools.count[int]" = field(default_factory=itertools.count)

    async def set_up(self, *documents: dict[str, Any]) -> None:
        """Load products and the line."""
        async with self.database.transaction() as connection:
            for document in documents or (GPU, TRAY):
                await put_product(connection, from_document(document), self.act())
            stations = [StationOfLine("as-1", "assembly"), StationOfLine("ft-1", "functional")]
            await put_line(connection, "L1", LineCalendar("UTC", (), (), ()), stations, self.act())

    def act(self) -> Act:
        return Act("main", "tester", self.now - timedelta(hours=20))

    async def release(self, *serials: str, number: str = "WO-1", part: str = "TRAY-1") -> None:
        """Order units and release them to the floor."""
        async with self.database.transaction() as connection:
            await put_order(connection, Order(number, part, "A", len(serials), serials=serials), self.act())
            await move_order(connection, number, "release", self.act())

    def message(
        self, kind: str, station: str, /, at: float | None = None, id: str | None = None, **data: Any
    ) -> Message:
        """A message as a station would send it; `at` in seconds after the start of the day."""
        topic, type_ = TYPES[kind]
        moment = time(at if at is not None else 0)
        if at is not None and "started_at" not in data and "start" not in data and kind != "identified":
            data["at"] = moment
        event = {
            "specversion": "1.0",
            "id": id or f"m{next(self.ids)}",
            "source": f"stations/{station}",
            "type": type_,
            "time": moment,
            "data": data,
        }
        (read,) = decode(station, topic, json.dumps(event).encode())
        assert isinstance(read, Message), read
        return read

    def run(self, unit: str, step: str, at: float, power: float | None = 150, **more: Any) -> Message:
        """A run of 60 s that ended `at`, reporting a power in W unless it is None."""
        measurements = [] if power is None else [{"name": "power", "value": power, "unit": "W"}]
        data = {"unit": unit, "step": step, "started_at": time(at - 60), "ended_at": time(at), "outcome": "pass"}
        return self.message("run", "ft-1", at, **{**data, "measurements": measurements, **more})

    def install(self, parent: str, position: str, serial: str, at: float, part: str = "GPU-1") -> Message:
        return self.message(
            "installed", "as-1", at, parent=parent, position=position, child={"part": part, "serial": serial}
        )

    def remove(self, parent: str, position: str, serial: str, at: float, part: str = "GPU-1") -> Message:
        return self.message(
            "removed", "as-1", at, parent=parent, position=position, child={"part": part, "serial": serial}
        )

    def screws(self, parent: str, at: float, quantity: int = 4, lot: str = "LOT-1") -> Message:
        child = {"part": "SCREW-1", "lot": lot, "quantity": quantity}
        return self.message("installed", "as-1", at, parent=parent, position="SCREWS", child=child)

    def load(self, lot: str, at: float, part: str = "SCREW-1", station: str = "as-1", **more: Any) -> Message:
        return self.message("loaded", station, at, part=part, lot=lot, **more)

    def unload(self, lot: str, at: float, part: str = "SCREW-1", station: str = "as-1", **more: Any) -> Message:
        return self.message("unloaded", station, at, part=part, lot=lot, **more)

    def draw(self, parent: str, at: float, quantity: float = 4, part: str = "SCREW-1") -> Message:
        """Screws go in of the lot that is loaded at as-1."""
        child = {"part": part, "quantity": quantity}
        return self.message("installed", "as-1", at, parent=parent, position="SCREWS", child=child)

    def build(self, unit: str, at: float, *gpus: str) -> list[Message]:
        """The messages of a whole assembly step that ends passed 50 s after `at`."""
        return [
            self.message("started", "as-1", at, unit=unit, step="build"),
            self.install(unit, "GPU1", gpus[0], at + 10),
            self.install(unit, "GPU2", gpus[1], at + 20),
            self.screws(unit, at + 30),
            self.message("completed", "as-1", at + 50, unit=unit, step="build", outcome="pass"),
        ]

    async def send(self, messages: Sequence[Any]) -> list[Settled]:
        """Settle messages as one batch that arrives now; the clock moves on by a second."""
        self.now += timedelta(seconds=1)
        return await settle(self.database, list(messages), self.now)

    async def settle_pending(self) -> list[Settled]:
        """Try what waits again, until nothing more can be tried."""
        self.now += timedelta(seconds=1)
        done: list[Settled] = []
        for _ in range(10):
            before, last = len(done), None
            while (retried := await settle_pending(self.database, self.now, last)).tried:
                done += retried.settled
                last = retried.last
            if len(done) == before:
                break
        return done


def time(at: float) -> str:
    """A moment of the day as text."""
    return (START + timedelta(seconds=at)).isoformat()
