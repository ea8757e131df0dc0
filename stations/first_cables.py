"""Simulated stations that build the power and sideband cable of deploy/products, one call per step.

Each asks before it starts, takes a second or so where a real one takes a minute, and says what a real one would say.
The values come from a seeded generator; a cable is miswired by giving its crimper a swapped pair of contacts.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Lock
from typing import Final

from mes.formats.messages import (
    Child,
    Program,
    ReportedConnection,
    ReportedMeasurement,
    SettledMessage,
    StepAnswered,
)
from stations.client import Station
from stations.facts import of_lot, serialized

CONNECTOR: Final = "CON-PSB8"
POWER_WIRE: Final = "WIRE-12AWG-105C"
SIDEBAND_WIRE: Final = "WIRE-26AWG-105C"
METRES: Final = 2.48
CONTACTS: Final = range(1, 9)
SIDEBAND: Final = range(1, 5)
STATIONS: Final = {
    "wc-01": "wire-cutter",
    "cp-01": "crimp-press",
    "cp-02": "crimp-press",
    "ct-01": "cable-tester",
    "hp-01": "hipot-tester",
    "ib-01": "inspection-bench",
    "rb-01": "repair-bench",
}
"""The line: its stations by name, with the kind of work each does."""
TAKES_S: Final = {"cut": 0.6, "crimp": 5.2, "cable-test": 0.7, "hipot": 1.3, "inspection": 0.6, "repair": 0.8}
"""How long work takes here. Crimping takes as long as its definition demands at least."""


class WorkStopped(Exception):  # noqa: N818 - what happened on the line
    """A station may not go on, or got no answer."""


@dataclass
class Cable:
    """One cable on its way: its serial, what it is made of, and how its contacts at end B are really wired."""

    serial: str
    connectors: dict[str, str]
    power_lot: str
    sideband_lot: str
    swapped: tuple[int, int] | None = None

    def reached(self, contact: int) -> int:
        """The contact at end B that one at end A is wired to."""
        if self.swapped and contact in self.swapped:
            first, second = self.swapped
            return second if contact == first else first
        return contact


@dataclass
class Line:
    """The stations of the line; each does one thing at a time. `open` it, and `close` it in the end.

    What they say is kept in the folder `spools` until the MES has it.
    """

    url: str
    spools: Path
    random: Random
    stations: dict[str, Station] = field(default_factory=dict)
    busy: dict[str, Lock] = field(default_factory=dict)
    posted: list[tuple[Station, str]] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def open(self) -> None:
        """Connect every station. Raises `WorkStopped` if one can't."""
        for name in STATIONS:
            self.busy[name] = Lock()
            self.stations[name] = self._open.enter_context(Station(self.url, name, spool=self.spools / f"{name}.spool"))
        for name, station in self.stations.items():
            if not station.connected():
                self.close()
                raise WorkStopped(f"{name} can't reach the broker at {self.url}.")

    def close(self) -> None:
        """Say goodbye for every station."""
        self._open.close()

    def fates(self) -> dict[str, SettledMessage]:
        """What became of everything that was said, by message id, once all of it has a receipt or time is up."""
        found: dict[str, SettledMessage] = {}
        for name, station in self.stations.items():
            found |= station.await_receipts([id for one, id in self.posted if one.name == name])
        return found

    def cut(self, cable: Cable) -> None:
        """Cut the wires from their reels."""
        with self.busy["wc-01"]:
            work = Work(self, "wc-01", cable, "cut")
            work.begin((of_lot(POWER_WIRE, cable.power_lot, METRES), of_lot(SIDEBAND_WIRE, cable.sideband_lot, METRES)))
            work.install("W-PWR", of_lot(POWER_WIRE, cable.power_lot, METRES))
            work.install("W-SB", of_lot(SIDEBAND_WIRE, cable.sideband_lot, METRES))
            work.end("pass", measurements=[_value("cut_length", self.random.gauss(620, 1), "mm", 1)])

    def crimp(self, cable: Cable, press: str) -> None:
        """Crimp a connector onto each end. If the cable is miswired, it happens here and nobody notices."""
        with self.busy[press]:
            work = Work(self, press, cable, "crimp")
            parts = {position: serialized(CONNECTOR, serial) for position, serial in cable.connectors.items()}
            work.begin(tuple(parts.values()))
            for position, part in parts.items():
                work.install(position, part)
            heights = [
                _value("crimp_height_12awg", self.random.gauss(2.08, 0.008), "mm", 3),
                _value("crimp_height_26awg", self.random.gauss(0.81, 0.008), "mm", 3),
            ]
            work.end("pass", measurements=heights)

    def check_wiring(self, cable: Cable) -> str:
        """Probe every contact against the netlist; returns the tester's own verdict."""
        with self.busy["ct-01"]:
            work = Work(self, "ct-01", cable, "cable-test")
            work.begin()
            outcome = "fail" if cable.swapped else "pass"
            work.end(outcome, connections=[self._probe(cable, contact) for contact in CONTACTS])
            return outcome

    def _probe(self, cable: Cable, contact: int) -> ReportedConnection:
        ohms = self.random.gauss(0.099, 0.004) if contact in SIDEBAND else self.random.gauss(0.0078, 0.0004)
        return ReportedConnection(f"A{contact}", f"B{contact}", (f"B{cable.reached(contact)}",), round(ohms, 4))

    def withstand(self, cable: Cable) -> None:
        """Hold high voltage between the conductors."""
        with self.busy["hp-01"]:
            work = Work(self, "hp-01", cable, "hipot")
            work.begin()
            values = [
                _value("hipot_voltage", self.random.gauss(1520, 6), "Vdc", 0),
                _value("hipot_dwell", 1.02, "s", 2),
                _value("hipot_leakage", self.random.uniform(0.02, 0.09), "mA", 3),
                _value("insulation_resistance", self.random.uniform(2200, 5200), "MOhm", 0),
            ]
            work.end("pass", measurements=values)

    def inspect(self, cable: Cable, operator: str) -> None:
        """Measure the length and read the label, by a person who signs for it."""
        with self.busy["ib-01"]:
            work = Work(self, "ib-01", cable, "inspection", operator)
            work.begin()
            length = _value("overall_length", self.random.gauss(602, 1.2), "mm", 1)
            work.end("pass", measurements=[length, ReportedMeasurement("label_readable", True)])

    def ask_too_soon(self, cable: Cable) -> StepAnswered:
        """Bring a cable to the high-voltage test whatever came of the test before: what does the MES say?"""
        return _answered(self.stations["hp-01"].ask(cable.serial, "hipot"), "hp-01")

    def replace_connector(self, cable: Cable, position: str, serial: str, operator: str) -> None:
        """Cut a connector off and crimp on a new one, with its contacts in the right order."""
        with self.busy["rb-01"]:
            bench = self.stations["rb-01"]
            old, new = serialized(CONNECTOR, cable.connectors[position]), serialized(CONNECTOR, serial)
            why = "contacts swapped"
            self.say(bench, bench.remove(cable.serial, position, old, operator=operator, reason=why))
            time.sleep(TAKES_S["repair"])
            self.say(bench, bench.install(cable.serial, position, new, operator=operator))
            cable.connectors[position] = serial
            cable.swapped = None
            bench.await_receipts()

    def say(self, station: Station, id: str) -> None:
        """Keep in mind what was said, for its fate."""
        self.posted.append((station, id))


@dataclass
class Work:
    """One attempt of a step: asked for, begun, ended, and the receipts waited for."""

    line: Line
    name: str
    cable: Cable
    step: str
    operator: str | None = None
    run: str = ""
    started_at: datetime = datetime.min

    @property
    def station(self) -> Station:
        return self.line.stations[self.name]

    def begin(self, parts: Sequence[Child] = ()) -> None:
        """Ask, and start. Raises `WorkStopped` when the MES says no or nothing."""
        answer = _answered(self.station.ask(self.cable.serial, self.step, parts), self.name)
        if not answer.granted:
            raise WorkStopped(f"{self.name} may not begin: " + " ".join(one.text for one in answer.reasons))
        self.started_at = datetime.now(UTC)
        self.run = f"{self.cable.serial}-{self.started_at:%Y%m%d%H%M%S%f}"
        self.station.status("running")
        began = self.station.start(
            self.cable.serial, self.step, at=self.started_at, run=self.run, operator=self.operator
        )
        self.line.say(self.station, began)
        time.sleep(TAKES_S[self.step])

    def install(self, position: str, part: Child) -> None:
        """A part went into its position."""
        self.line.say(self.station, self.station.install(self.cable.serial, position, part, operator=self.operator))

    def end(
        self,
        outcome: str,
        measurements: Sequence[ReportedMeasurement] = (),
        connections: Sequence[ReportedConnection] = (),
    ) -> None:
        """Report the attempt and wait until the MES has all of it."""
        reported = self.station.report(
            self.cable.serial,
            self.step,
            self.started_at,
            datetime.now(UTC),
            outcome,
            run=self.run,
            measurements=measurements,
            connections=connections,
            operator=self.operator,
            program=Program(f"psb8-{self.step}", "1.4.2"),
        )
        self.line.say(self.station, reported)
        self.station.status("idle")
        self.station.await_receipts()


def _answered(answer: StepAnswered | None, station: str) -> StepAnswered:
    if answer is None:
        raise WorkStopped(f"{station} asked and got no answer.")
    return answer


def _value(name: str, value: float, unit: str, digits: int) -> ReportedMeasurement:
    return ReportedMeasurement(name, round(value, digits), unit)
