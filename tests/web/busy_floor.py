"""A floor at work, of any size, made by the real commands: for looking at the board and for measuring it."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mes.commands.act import Act
from mes.commands.holds import place
from mes.commands.ingest import settle
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.products import put_product
from mes.commands.work_orders import Order, move_order, put_order
from mes.db.session import Database
from mes.formats.messages import Message, decode
from mes.formats.product_document import from_document

LINES = {
    "compute": ("TRAY-L10", "compute", ("assembly", "leak-test", "power-on", "functional", "burn-in")),
    "racks": ("RACK-72", "rack", ("integration", "hipot", "rack-leak", "link-check", "soak")),
    "power": ("SHELF-33K", "power", ("shelf-assembly", "psu-test", "load-test")),
    "cabling": ("CART-A1", "cabling", ("crimp", "cable-test")),
}
LIMITS = {
    "leak-test": ("pressure_decay", "Pa", 0, 40),
    "power-on": ("inrush", "A", 0, 85),
    "functional": ("link_errors", "1", 0, 3),
    "burn-in": ("gpu_temperature", "degC", 20, 83),
    "hipot": ("insulation", "MOhm", 500, 9000),
    "rack-leak": ("pressure_decay", "Pa", 0, 90),
    "link-check": ("bit_errors", "1", 0, 2),
    "soak": ("coolant_delta_t", "K", 2, 14),
    "psu-test": ("efficiency", "%", 96.5, 100),
    "load-test": ("ripple", "mV", 0, 120),
    "cable-test": ("resistance", "mOhm", 0, 90),
}
DOWN = ("coolant pump alarm", "waiting for a fixture", "door interlock open")


@dataclass
class BusyFloor:
    """Writes the floor and goes on with it; the same seed gives the same floor."""

    database: Database
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    seed: int = 1
    ids: int = 0
    marks: int = 0
    stations: dict[str, list[str]] = field(default_factory=dict)
    busy: set[str] = field(default_factory=set)
    """Stations with a unit in hand."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @property
    def act(self) -> Act:
        return Act("main", "planner", self.now - timedelta(hours=3))

    async def set_up(self, stations_per_kind: int = 2) -> None:
        """Products, lines with three shifts a day, and their stations."""
        async with self.database.transaction() as connection:
            for line, (part, family, kinds) in LINES.items():
                await put_product(connection, from_document(_document(part, family, kinds)), self.act)
                stations = [
                    StationOfLine(f"{kind}-{number:02}", kind)
                    for kind in kinds
                    for number in range(1, stations_per_kind + 1)
                ]
                for one in stations:
                    self.stations.setdefault(one.kind, []).append(one.name)
                calendar = LineCalendar("UTC", _shifts(self.now))
                await put_line(connection, line, calendar, stations, self.act)

    async def release(self, units_per_line: int) -> None:
        """An order for each line."""
        async with self.database.transaction() as connection:
            for number, (part, _, _) in enumerate(LINES.values(), 1):
                await put_order(connection, Order(f"WO-{number}", part, "A", units_per_line), self.act)
                await move_order(connection, f"WO-{number}", "release", self.act)

    async def send(self, messages: Sequence[Message]) -> None:
        """Let messages arrive, in batches as ingest takes them."""
        for start in range(0, len(messages), 1000):
            await settle(self.database, list(messages[start : start + 1000]), datetime.now(UTC))

    async def work(self, units_per_line: int, over_s: float = 16000) -> None:
        """Take units some way along their routes; some fail, some runs end in error, the last ones are at work."""
        messages: list[tuple[datetime, Message]] = []
        for part, _, kinds in LINES.values():
            for number in range(1, units_per_line + 1):
                messages += self._journey(f"{part}-{number:05}", kinds, over_s)
        await self.send([message for _, message in sorted(messages, key=lambda one: one[0])])

    def _journey(self, unit: str, kinds: Sequence[str], over_s: float) -> Iterator[tuple[datetime, Message]]:
        at = self.now - timedelta(seconds=over_s * self.random.uniform(0.15, 1))
        for kind in kinds[: self.random.randint(0, len(kinds))]:
            station = self.random.choice(self.stations[kind])
            took = timedelta(seconds=over_s * self.random.uniform(0.02, 0.1))
            if at + took > self.now:
                if station not in self.busy:
                    self.busy.add(station)
                    yield at, self.started(station, unit, kind, at)
                return
            outcome = "error" if self.random.random() < 0.02 else "pass"
            failed = outcome == "pass" and kind in LIMITS and self.random.random() < 0.06
            yield at, self.started(station, unit, kind, at)
            yield at + took, self.ended(station, unit, kind, at, at + took, outcome, failed)
            if failed or outcome == "error":
                return
            at += took + timedelta(seconds=over_s * 0.01)

    async def speak(self) -> None:
        """Stations say how they are: running with a unit in hand; a few are down, a few were never heard."""
        messages = []
        for name in (name for names in self.stations.values() for name in names):
            since = self.now - timedelta(seconds=self.random.uniform(60, 2400))
            draw = self.random.random()
            if name in self.busy:
                messages.append(self.status(name, "running", since))
            elif draw > 0.8:
                messages.append(self.status(name, "down", since, self.random.choice(DOWN)))
            elif draw > 0.15:
                messages.append(self.status(name, "idle", since))
        await self.send(messages)

    async def hold(self, scope: str, key: str, reason: str) -> None:
        async with self.database.transaction() as connection:
            await place(connection, scope, key, reason, self.act._replace(at=self.now))

    def started(self, station: str, unit: str, step: str, at: datetime) -> Message:
        return self.message(station, "step", "mes.step.started", at, unit=unit, step=step, at=at.isoformat())

    def ended(
        self, station: str, unit: str, step: str, start: datetime, end: datetime, outcome: str, failed: bool
    ) -> Message:
        """The run of a step that measures something, or else just its end."""
        if step not in LIMITS:
            return self.message(
                station, "step", "mes.step.completed", end, unit=unit, step=step, at=end.isoformat(), outcome=outcome
            )
        name, unit_, low, high = LIMITS[step]
        value = (
            high * 1.06 + 1
            if failed and step not in ("hipot", "psu-test")
            else low * 0.9
            if failed
            else (low + high) / 2
        )
        measured = [{"name": name, "value": round(value, 2), "unit": unit_}]
        data = {"unit": unit, "step": step, "started_at": start.isoformat(), "ended_at": end.isoformat()}
        return self.message(station, "run", "mes.run.reported", end, **data, outcome=outcome, measurements=measured)

    def status(self, station: str, state: str, since: datetime, reason: str | None = None) -> Message:
        more = {"reason": reason} if reason else {}
        return self.message(
            station, "status", "mes.station.status", self.now, state=state, since=since.isoformat(), **more
        )

    def message(self, station: str, kind: str, type_: str, at: datetime, /, **data: Any) -> Message:
        """A message as a station sends it."""
        self.ids += 1
        event = {
            "specversion": "1.0",
            "id": f"b{self.ids}",
            "source": f"stations/{station}",
            "type": type_,
            "time": at.isoformat(),
            "data": data,
        }
        (read,) = decode(station, kind, json.dumps(event).encode())
        assert isinstance(read, Message), read
        return read


def _document(part: str, family: str, kinds: Sequence[str]) -> dict[str, Any]:
    route = [
        {
            "step": kind,
            "station_kind": kind,
            "after": [kinds[index - 1]] if index else [],
            **({"needs": [LIMITS[kind][0]]} if kind in LIMITS else {}),
        }
        for index, kind in enumerate(kinds)
    ]
    limits = {LIMITS[kind] for kind in kinds if kind in LIMITS}
    return {
        "part": part,
        "revision": "A",
        "name": part,
        "family": family,
        "source": "made",
        "tracking": "serial",
        "serial_pattern": part + "-{n:05}",
        "route": route,
        "characteristics": [
            {"name": name, "unit": unit, "low": low, "high": high} for name, unit, low, high in sorted(limits)
        ],
    }


def _shifts(now: datetime) -> list[dict[str, Any]]:
    """A shift that began five to six hours ago, whatever time it is."""
    start = now - timedelta(hours=5)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    end = start + timedelta(hours=9)
    return [{"name": "early", "days": days, "start": f"{start:%H}:00", "end": f"{end:%H}:00"}]
