"""A small floor to tell stories on: a rack that holds trays that hold boards, and short words for their facts."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from mes.domain.facts import (
    PASS,
    Disposed,
    Entry,
    MaterialLoaded,
    MaterialUnloaded,
    PartInstalled,
    PartRemoved,
    RunReported,
    ShipmentDecided,
    Station,
    StepAnswered,
    StepCompleted,
    StepStarted,
    UnitPacked,
    UnitShipped,
    What,
    entry,
)
from mes.domain.product import Alternate, BomLine, Definition, Step

EIGHT = datetime(2026, 11, 23, 8, tzinfo=UTC)
BENCH = Station("bench-01", "assembly")
TESTER = Station("ft-01", "test")
TESTER_2 = Station("ft-02", "test")

BOARD = Definition(part="BOARD", revision="A", name="Board", family="compute", route=(Step("flash", "test"),))
TRAY = Definition(
    part="TRAY",
    revision="A",
    name="Tray",
    family="compute",
    bom=(
        BomLine(("B1", "B2"), "BOARD", alternates=(Alternate("BOARD-X", "Acme"),), retest_from="test"),
        BomLine(("SCREWS",), "M3", quantity=Decimal(4)),
    ),
    route=(
        Step("build", "assembly", installs=("B1", "B2", "SCREWS")),
        Step("test", "test", after=("build",), min_s=10, attempts=2),
        Step("audit", "assembly", after=("test",), signed=True),
    ),
)
RACK = Definition(
    part="RACK",
    revision="A",
    name="Rack",
    family="rack",
    bom=(BomLine(("U1", "U2"), "TRAY", retest_from="soak"),),
    route=(Step("mount", "assembly", installs=("U1", "U2")), Step("soak", "test", after=("mount",))),
)

_ids = count(1)


def at(minute: float) -> datetime:
    """So many minutes past eight."""
    return EIGHT + timedelta(minutes=minute)


def said(minute: float, what: What, source: str = "stations/x", id: str | None = None) -> Entry:
    return entry(at(minute), source, id or f"m{next(_ids):06}", what)


def start(minute: float, step: str, station: Station = BENCH, unit: str = "t1", run: str | None = None) -> Entry:
    return said(minute, StepStarted(unit, step, station, run))


def done(minute: float, step: str, station: Station = BENCH, unit: str = "t1", **more: Any) -> Entry:
    return said(minute, StepCompleted(unit, step, station, more.pop("outcome", PASS), **more))


def run(minute: float, step: str, verdict: str = PASS, took_s: float = 30, unit: str = "t1", **more: Any) -> Entry:
    ended = at(minute)
    id = f"r{next(_ids):06}"
    station = more.pop("station", TESTER)
    more.setdefault("claim", verdict)
    begun = ended - timedelta(seconds=took_s)
    return said(minute, RunReported(unit, step, station, id, begun, ended, verdict=verdict, **more))


def grant(minute: float, step: str, station: Station, unit: str = "t1", for_min: float = 60) -> Entry:
    return said(minute, StepAnswered(unit, step, station, True, at(minute + for_min)), "mes")


def install(minute: float, parent: str, position: str, child: str, part: str = "BOARD", **more: Any) -> Entry:
    return said(minute, PartInstalled(parent, position, child, None, part, **more))


def remove(minute: float, parent: str, position: str, child: str, part: str = "BOARD") -> Entry:
    return said(minute, PartRemoved(parent, position, child, None, part))


def lot(minute: float, parent: str, position: str, lot: str, quantity: int | None = 4, part: str = "M3") -> Entry:
    amount = None if quantity is None else Decimal(quantity)
    return said(minute, PartInstalled(parent, position, None, lot, part, quantity=amount))


def unlot(minute: float, parent: str, position: str, lot: str, quantity: int | None = None, part: str = "M3") -> Entry:
    amount = None if quantity is None else Decimal(quantity)
    return said(minute, PartRemoved(parent, position, None, lot, part, amount))


def load(minute: float, lot: str, part: str = "M3", station: str = "x", **more: Any) -> Entry:
    """A lot is loaded at the station that says everything here, or at another one."""
    return said(minute, MaterialLoaded(Station(station, "assembly"), part, lot, **more), f"stations/{station}")


def unload(minute: float, lot: str, part: str = "M3", station: str = "x", **more: Any) -> Entry:
    return said(minute, MaterialUnloaded(Station(station, "assembly"), part, lot, **more), f"stations/{station}")


def draw(minute: float, parent: str = "t1", position: str = "SCREWS", quantity: int = 4, part: str = "M3") -> Entry:
    """Material goes in of which the station does not say the lot."""
    return said(minute, PartInstalled(parent, position, None, None, part, quantity=Decimal(quantity)))


def packed(minute: float, unit: str = "t1", into: str | None = None) -> Entry:
    return said(minute, UnitPacked(unit, into))


def shipped(minute: float, unit: str = "t1") -> Entry:
    return said(minute, UnitShipped(unit))


def shipment(minute: float, unit: str = "t1") -> Entry:
    return said(minute, ShipmentDecided(unit), "mes")


def disposed(minute: float, nonconformance: str, ruling: str, unit: str = "t1") -> Entry:
    return said(minute, Disposed(unit, nonconformance, ruling), "mes")
