"""A whole rack, built by its delivered definitions: every tray, shelf, supply and cable in it was built before it."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from mes.commands.act import Act
from mes.commands.ingest import Settled, settle
from mes.commands.lines import LineCalendar, StationOfLine, put_line
from mes.commands.products import put_product
from mes.commands.work_orders import Order, move_order, put_order
from mes.db.session import Database
from mes.domain.product import BomLine, Definition, Step
from mes.domain.route import in_working_order
from mes.domain.run import Criteria, Report
from mes.formats.messages import Message, decode
from tests.deploy.delivered import RACK, good_report, installed, newest

START = datetime(2026, 10, 5, 6, tzinfo=UTC)
ARRIVAL = START + timedelta(days=30)
BATCH = 1_000
TOPICS = {"mes.part.received": "unit", "mes.part.installed": "assembly", "mes.run.reported": "run"}
STEP_S = 60.0
"""What a step takes beyond its shortest honest duration."""

IN_THE_RACK = """
    WITH RECURSIVE inside(id, child_id) AS (
        SELECT i.id, i.child_id FROM installation i JOIN unit u ON u.id = i.parent_id
        WHERE u.part = :rack AND upper_inf(i.during) AND i.superseded_at IS NULL
        UNION ALL
        SELECT i.id, i.child_id FROM inside JOIN installation i ON i.parent_id = inside.child_id
        WHERE upper_inf(i.during) AND i.superseded_at IS NULL
    )
    SELECT count(child_id) AS serialized, count(*) - count(child_id) AS lots FROM inside
"""


class Builder:
    """Says, as the floor's stations would, all that happens while units are built; children before parents."""

    def __init__(self, serials: dict[str, list[str]]) -> None:
        self.serials = {part: iter(found) for part, found in serials.items()}
        self.numbers = itertools.count(1)
        self.events: list[tuple[float, str, str, dict[str, Any]]] = []

    def build(self, one: Definition) -> tuple[str, float]:
        """Build a unit from what is built for it; its serial, and when it is done, in seconds."""
        unit, at = next(self.serials[one.part]), 0.0
        parts: dict[str, list[dict[str, Any]]] = {}
        for line in one.bom:
            for position in line.positions:
                child, ready = self.child(line)
                parts[position] = [{"parent": unit, "position": position, "child": child}]
                at = max(at, ready)
        criteria = Criteria(one)
        for step in in_working_order(one.route):
            at = self.work(unit, step, criteria, [part for place in step.installs for part in parts[place]], at)
        return unit, at

    def child(self, line: BomLine) -> tuple[dict[str, Any], float]:
        """What fills one position, and when it is there."""
        one = newest()[line.part]
        if one.source == "made":
            serial, at = self.build(one)
            return {"part": one.part, "serial": serial}, at
        if one.tracking != "serial":
            return {"part": one.part, "lot": f"LOT-{one.part}", "quantity": float(line.quantity)}, 0.0
        child = {"part": one.part, "serial": f"{one.part}-{next(self.numbers):05}"}
        if one.receipt_required:
            self.say(0.0, "goods-in", "mes.part.received", **child)
        return child, 0.0

    def work(self, unit: str, step: Step, criteria: Criteria, parts: list[dict[str, Any]], at: float) -> float:
        """One attempt of one step, from its start to its end, which it returns."""
        station, run = f"{step.station_kind}-1", f"{unit}-{step.step}"
        done = at + STEP_S + (step.min_s or 0)
        named: dict[str, Any] = {"unit": unit, "step": step.step, "run": run, "operator": "m.rossi"}
        self.say(at + 1, station, "mes.step.started", **named)
        for part in parts:
            self.say(at + 30, station, "mes.part.installed", **part)
        if step.needs:
            told = {"started_at": moment(at + 1), "ended_at": moment(done), "outcome": "pass"}
            self.say(done, station, "mes.run.reported", **named, **told, **values(good_report(criteria, step)))
        else:
            self.say(done, station, "mes.step.completed", **named, outcome="pass")
        return done

    def say(self, at: float, station: str, type_: str, **data: Any) -> None:
        self.events.append((at, station, type_, data))

    def messages(self) -> Iterator[Message]:
        """All of it in the order of time."""
        for number, (at, station, type_, data) in enumerate(sorted(self.events, key=lambda one: one[0])):
            said = data if type_ == "mes.run.reported" else {"at": moment(at), **data}
            event = {"specversion": "1.0", "id": f"m{number}", "source": f"stations/{station}", "type": type_}
            body = json.dumps({**event, "time": moment(at), "data": said})
            (read,) = decode(station, TOPICS.get(type_, "step"), body.encode())
            assert isinstance(read, Message), read
            yield read


def values(report: Report) -> dict[str, Any]:
    """A report's values as a message has them."""
    measured = [
        {"name": one.name, "value": one.value, "unit": one.unit, "position": one.position}
        for one in report.measurements
    ]
    wires = [{"from": one.end, "to": one.expected, "seen": one.seen, "ohms": one.ohms} for one in report.connections]
    return {"measurements": list(map(told, measured)), "connections": list(map(told, wires))}


def told(values: dict[str, Any]) -> dict[str, Any]:
    """What is not None."""
    return {name: value for name, value in values.items() if value is not None}


def moment(at: float) -> str:
    return (START + timedelta(seconds=at)).isoformat()


async def order_a_rack(database: Database) -> None:
    """Every product, a station of each kind, and an order for each made part of one rack."""
    act = Act("main", "engineering", START - timedelta(days=1))
    inside = {part: count for part, count in installed(RACK).items() if newest()[part].source == "made"}
    kinds = {step.station_kind for one in newest().values() for step in one.route}
    async with database.transaction() as connection:
        for one in newest().values():
            await put_product(connection, one, act)
        stations = [StationOfLine(f"{kind}-1", kind) for kind in sorted(kinds)]
        stations.append(StationOfLine("goods-in", "goods-in"))
        await put_line(connection, "L1", LineCalendar("UTC"), stations, act)
        for part, quantity in {RACK: 1, **inside}.items():
            await put_order(connection, Order(f"WO-{part}", part, newest()[part].revision, quantity), act)
            await move_order(connection, f"WO-{part}", "release", act)


async def build_the_rack(database: Database) -> list[Settled]:
    """Say all that happens while it is built; what became of it."""
    serials: dict[str, list[str]] = {}
    for part, serial in await rows(database, "SELECT part, serial FROM unit ORDER BY serial"):
        serials.setdefault(part, []).append(serial)
    builder = Builder(serials)
    builder.build(newest()[RACK])
    messages = list(builder.messages())
    settled = []
    for first in range(0, len(messages), BATCH):
        settled += await settle(database, messages[first : first + BATCH], ARRIVAL + timedelta(seconds=first))
    return settled


@pytest.fixture
async def floor(database_url: str):
    """A database in which a rack is ordered."""
    database = Database(database_url)
    await order_a_rack(database)
    yield database
    await database.close()


async def rows(database: Database, statement: str, **values: Any) -> list[Any]:
    async with database.reading() as connection:
        return list((await connection.execute(text(statement), values)).all())


async def test_a_rack_is_built_of_units_that_were_built(floor: Database):
    settled = await build_the_rack(floor)
    assert [one for one in settled if one.fate != "applied"] == []
    states = await rows(floor, "SELECT state, count(*) FROM unit WHERE work_order_id IS NOT NULL GROUP BY state")
    assert [tuple(row) for row in states] == [("completed", 99)]
    (inside,) = await rows(floor, IN_THE_RACK, rack=RACK)
    assert inside.serialized == installed(RACK).total() == 690
    assert await rows(floor, "SELECT id FROM nonconformance") == []
    assert await rows(floor, "SELECT step, verdict, reasons FROM run WHERE verdict <> 'pass'") == []
    noted = await rows(floor, "SELECT DISTINCT unnest(deviations) AS code FROM attempt")
    assert {row.code for row in noted} == {"not_asked"}  # these stations only tell
