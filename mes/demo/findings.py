"""What the MES knows about the demo's cables when they are done, read over REST as anyone may."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from mes.demo.office import Office

NUMBERED_WITHIN_S: Final = 5.0


@dataclass
class CableRecord:
    """One cable: its state, its runs with their values, what is in it, how often what happened to it, and the serial
    that was taken out of a position."""

    serial: str
    state: str
    runs: list[dict[str, Any]]
    genealogy: dict[str, Any]
    types: Counter[str]
    replaced: dict[str, str]

    @property
    def passed_first(self) -> bool:
        """Whether the first run of every step passed."""
        first: dict[str, str] = {}
        for run in self.runs:
            first.setdefault(run["step"], run["verdict"])
        return self.state == "completed" and all(verdict == "pass" for verdict in first.values())


@dataclass
class Findings:
    """All of it. `journal_entries` counts the whole journal, not this demo's entries alone."""

    number: str
    cables: list[CableRecord]
    journal_entries: int

    def in_state(self, state: str) -> int:
        """How many cables are in a state."""
        return sum(one.state == state for one in self.cables)

    def happened(self, type_: str) -> int:
        """How many journal entries of a type name one of the cables."""
        return sum(one.types[type_] for one in self.cables)

    @property
    def first_pass_yield(self) -> float | None:
        """The share of completed cables of which every step passed at the first attempt."""
        done = self.in_state("completed")
        return sum(one.passed_first for one in self.cables) / done if done else None


async def find(office: Office, number: str, serials: list[str]) -> Findings:
    """Read everything once the journal has numbered what was done."""
    cables = [await _record(office, serial) for serial in serials]
    return Findings(number, cables, await _journal_entries(office))


async def _record(office: Office, serial: str) -> CableRecord:
    unit = await office.call("GET", f"/units/{serial}")
    runs = (await office.call("GET", f"/units/{serial}/runs", limit=100))["items"]
    history = (await office.call("GET", f"/units/{serial}/history", limit=1000))["items"]
    return CableRecord(
        serial,
        unit["state"],
        [await office.call("GET", f"/runs/{run['id']}") for run in runs],
        await office.call("GET", f"/units/{serial}/genealogy"),
        Counter(one["type"] for one in history),
        {
            one["data"]["fact"]["what"]["position"]: one["data"]["subjects"][-1]["name"]
            for one in history
            if one["type"] == "mes.part.removed"
        },
    )


async def _journal_entries(office: Office) -> int:
    """How many entries the journal has, when all of them have positions."""
    metrics = await office.metrics()
    for _ in range(int(NUMBERED_WITHIN_S / 0.1)):
        if not metrics["mes_journal_unnumbered"]:
            break
        await asyncio.sleep(0.1)
        metrics = await office.metrics()
    return int(metrics["mes_journal_entries"])
