"""What becomes of each message: applied, a duplicate, pending or rejected."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.journeys.model.order import moment

Event = dict[str, Any]
NEEDED = {"mes.part.installed": "child", "mes.part.removed": "child", "mes.part.received": "part"}


def digest(payload: bytes) -> str:
    """What a receipt calls a message by that has no readable id."""
    return hashlib.sha256(payload).hexdigest()


class Gate:
    """Lets each event in once. `fates` are by id, or by digest where there is none; an id may be used twice."""

    def __init__(self, products: dict[str, Event], stations: Iterable[str], serials: Iterable[str]) -> None:
        self.products, self.stations, self.serials = products, set(stations), set(serials)
        lines = [line for product in products.values() for line in product.get("bom", [])]
        self.parts = {*products, *(line["part"] for line in lines)}
        self.fates: dict[str, set[str]] = defaultdict(set)
        self.applied: list[Event] = []
        self.pending: list[Event] = []
        self.said: dict[tuple[str, str], str] = {}
        self.happened: dict[str, str] = {}

    def take(self, station: str, payload: bytes) -> None:
        """One message that was published under a station's name; where two conflict, the one that came first wins."""
        for event in self._read(payload):
            fate = self._fate(station, event)
            if fate:
                self.fates[event["id"]].add(fate)
            if fate in ("applied", "pending"):
                (self.applied if fate == "applied" else self.pending).append(event)

    def _read(self, payload: bytes) -> Iterator[Event]:
        try:
            read = json.loads(payload)
        except ValueError:
            self.fates[digest(payload)].add("rejected")
            return
        yield from read if isinstance(read, list) else [read]

    def _fate(self, station: str, event: Event) -> str | None:
        name, data = (event["source"], event["id"]), event["data"]
        content = json.dumps([event["type"], in_utc(data)], sort_keys=True)
        if not readable(station, event):
            return "rejected"
        if name in self.said:
            return None if self.said[name] == content else "rejected"
        self.said[name] = content
        nature = nature_of(event)
        if nature in self.happened:
            return "duplicate" if self.happened[nature] == content else "pending"
        self.happened[nature] = content
        return "applied" if self._is_known(station, data) else "pending"

    def _is_known(self, station: str, data: Event) -> bool:
        unit, child = data.get("parent") or data.get("unit"), data.get("child", data)
        if station not in self.stations or (unit and unit not in self.serials):
            return False
        if "part" not in child:
            return True
        is_made = self.products.get(child["part"], {}).get("source") == "made"
        return child["part"] in self.parts and (not is_made or child["serial"] in self.serials)


def readable(station: str, event: Event) -> bool:
    """Whether a station may say it, and it names what it is about."""
    return event["source"] == f"stations/{station}" and NEEDED.get(event["type"], "unit") in event["data"]


def nature_of(event: Event) -> str:
    """What makes an event itself unique at its station, under whatever id it is told."""
    data, kind = in_utc(event["data"]), event["type"].split(".")[1]
    key: list[Any] = [event["type"], event["id"]]
    if kind == "run":
        key = ["run", data["run"]] if "run" in data else ["run", data["unit"], data["step"], data["started_at"]]
    elif kind in ("part", "step"):
        named = {name: value for name, value in data.items() if name in NATURAL}
        child = {name: value for name, value in data.get("child", {}).items() if name != "quantity"}
        key = [event["type"], named, child]
    return json.dumps([event["source"], key], sort_keys=True)


def in_utc(data: Event) -> Event:
    """The same with its times in one zone: an instant is the same however it is written."""
    return {name: str(moment(value)) if name in TIMES else value for name, value in data.items()}


TIMES = ("at", "started_at", "ended_at")
NATURAL = ("unit", "step", "run", "at", "parent", "position", "part", "serial", "lot", "maker")
