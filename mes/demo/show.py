"""The demo from beginning to end: set up the floor, build the cables, tell what happened."""

import asyncio
import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any, Final

from rich.console import Console

from mes.demo.findings import Findings, find
from mes.demo.office import CABLE, Office, OfficeRefused
from mes.demo.telling import tell, where_to_look
from mes.formats.messages import SettledMessage
from mes.local import Local
from stations.first_cables import Cable, Line, WorkStopped

OPERATOR: Final = "m.rossi"
TECHNICIAN: Final = "l.tanaka"
ENGINEER: Final = "a.novak"

WIDTH: Final = 110
"""Columns where the output is no terminal."""

Say = Callable[[str, str, str], None]
"""Tells one thing as it happens: about what, where, and what."""


async def show(local: Local, seed: int) -> dict[str, Any]:
    """Build two cables, one of them miswired, and tell what happened; returns the summary.

    `units_completed` is less than `units_ordered` if something stopped the line; `stopped` then says what.
    """
    began = time.monotonic()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    stopped = None
    async with Office(local) as office:
        with console.status("Preparing the floor…") as status:
            floor = Floor(local, office, Random(seed), _sayer(console, status.update))
            try:
                await floor.prepare()
                await floor.build()
            except (WorkStopped, OfficeRefused) as error:
                stopped = str(error)
            status.update("Reading the record…")
            findings = await find(office, floor.number, [cable.serial for cable in floor.cables])
    summary = _summary(local, findings, floor, stopped, time.monotonic() - began)
    tell(console, findings, summary)
    where_to_look(console, local, findings)
    return summary


def _sayer(console: Console, update: Callable[[str], None]) -> Say:
    began = time.monotonic()

    def say(about: str, where: str, what: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:5.1f} s[/]  [bold]{about:<12}[/] {where:<7} {what}")
        update(f"{about} at {where}" if where else about)

    return say


class Floor:
    """The demo's floor and the two cables on it."""

    def __init__(self, local: Local, office: Office, random: Random, say: Say) -> None:
        self.local = local
        self.office = office
        self.random = random
        self.say = say
        self.number = ""
        self.cables: list[Cable] = []
        self.spare = ""
        self.fates: dict[str, SettledMessage] = {}

    async def prepare(self) -> None:
        """What the ERP and the engineers do before a cable can be built."""
        parts = await self.office.release_products()
        self.say("engineering", "", f"released {', '.join(parts)}")
        await self.office.put_line()
        self.number, serials = await self.office.order(2)
        self.say("ERP", "", f"released work order {self.number}: two {CABLE}, serials {' and '.join(serials)}")
        self.cables = [self._cable(serial) for serial in serials]
        self.cables[1].swapped = self._swapped_pair()
        self.spare = f"C8-{serials[1].removeprefix('CB-')}-B2"
        await self.office.receive(self.number, self.cables, self.spare)
        self.say("ERP", "", "received the connectors and two reels of wire")

    def _cable(self, serial: str) -> Cable:
        number = serial.removeprefix("CB-")
        connectors = {f"J-{end}": f"C8-{number}-{end}" for end in "AB"}
        return Cable(serial, connectors, f"R12-{self.number}", f"R26-{self.number}")

    def _swapped_pair(self) -> tuple[int, int]:
        """Two neighbours among the sideband contacts: the slip that happens."""
        first = self.random.randint(1, 3)
        return first, first + 1

    async def build(self) -> None:
        """Both cables through their route, at the same time."""
        line = Line(self.local.parts.mqtt_url, self.local.token_file.parent / "stations", self.random)
        await asyncio.to_thread(line.open)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._good(line, self.cables[0]))
                tasks.create_task(self._miswired(line, self.cables[1]))
        except* (WorkStopped, OfficeRefused) as several:
            raise WorkStopped(str(several.exceptions[0])) from several
        finally:
            self.fates = await asyncio.to_thread(line.fates)
            await asyncio.to_thread(line.close)

    async def _good(self, line: Line, cable: Cable) -> None:
        await self._make(line, cable, "cp-01")
        await asyncio.to_thread(line.check_wiring, cable)
        self.say(cable.serial, "ct-01", "[green]pass[/] every contact reaches its own")
        await self._finish(line, cable)

    async def _miswired(self, line: Line, cable: Cable) -> None:
        await self._make(line, cable, "cp-02")
        await asyncio.to_thread(line.check_wiring, cable)
        fault = await self.office.nonconformance(cable.serial)
        why = next(one["text"] for one in fault["reasons"] if one["code"] != "claim_failed")
        self.say(cable.serial, "ct-01", f"[red]fail[/] {why}")
        answer = await asyncio.to_thread(line.ask_too_soon, cable)
        if answer.granted:
            raise WorkStopped("hp-01 was let to start on a cable that failed its test.")
        said = "; ".join(one.text for one in answer.reasons)
        self.say(cable.serial, "hp-01", f"asked: may I start? [yellow]refused[/] {said}")
        await self._repair(line, cable, fault["id"])
        await asyncio.to_thread(line.check_wiring, cable)
        self.say(cable.serial, "ct-01", "[green]pass[/] on retest")
        await self._finish(line, cable)

    async def _make(self, line: Line, cable: Cable, press: str) -> None:
        await asyncio.to_thread(line.cut, cable)
        self.say(cable.serial, "wc-01", "[green]pass[/] wires cut from their reels")
        await asyncio.to_thread(line.crimp, cable, press)
        self.say(cable.serial, press, "[green]pass[/] both connectors crimped")

    async def _repair(self, line: Line, cable: Cable, fault: str) -> None:
        first, second = cable.swapped or (0, 0)
        found = f"Contacts B{first} and B{second} are exchanged in connector {cable.connectors['J-B']}."
        await self.office.diagnose(fault, found, ENGINEER)
        self.say(cable.serial, "", f"{ENGINEER} diagnosed: {found}")
        await asyncio.to_thread(line.replace_connector, cable, "J-B", self.spare, TECHNICIAN)
        await self.office.repaired(fault, f"Connector at J-B replaced by {self.spare}.", TECHNICIAN)
        self.say(cable.serial, "rb-01", f"{TECHNICIAN} replaced the connector at J-B: the cable is tested again")

    async def _finish(self, line: Line, cable: Cable) -> None:
        await asyncio.to_thread(line.withstand, cable)
        self.say(cable.serial, "hp-01", "[green]pass[/] withstands 1,500 V")
        await asyncio.to_thread(line.inspect, cable, OPERATOR)
        self.say(cable.serial, "ib-01", f"[green]pass[/] length and label, signed by {OPERATOR}")


def _summary(local: Local, findings: Findings, floor: Floor, stopped: str | None, wall_s: float) -> dict[str, Any]:
    fates = [one.fate for one in floor.fates.values()]
    return {
        "racks_completed": 0,
        "rack_serials": [],
        "units_ordered": 2,
        "units_completed": findings.in_state("completed"),
        "units_scrapped": findings.in_state("scrapped"),
        "serials": [cable.serial for cable in floor.cables],
        "work_order": floor.number,
        "installations": findings.happened("mes.part.installed"),
        "runs": sum(len(one.runs) for one in findings.cables),
        "measurements": sum(len(run["measurements"]) for one in findings.cables for run in one.runs),
        "samples": 0,
        "nonconformances": findings.happened("mes.nonconformance.opened"),
        "repairs": findings.happened("mes.nonconformance.repaired"),
        "messages_sent": len(fates),
        "messages_applied": fates.count("applied"),
        "messages_pending": fates.count("pending"),
        "messages_rejected": fates.count("rejected"),
        "journal_entries": findings.journal_entries,
        "first_pass_yield": findings.first_pass_yield,
        "wall_s": round(wall_s, 3),
        "api_url": local.api_url,
        **({"stopped": stopped} if stopped else {}),
    }
