"""What stations say on a day: well-formed messages of every kind, one after another."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple

from tests.journeys.product import Catalogue

PREFIXED = {"V": ("mV", 1000), "W": ("kW", 0.001), "Ohm": ("mOhm", 1000)}
TOPICS = {"step": "step", "part": "assembly", "run": "run", "unit": "unit"}


class Said(NamedTuple):
    """One message as it was published."""

    station: str
    topic: str
    payload: bytes


@dataclass
class Teller:
    """Tells a day, event after event. `at` is the floor's clock; stations write it in zones of their own."""

    rng: Random
    parts: Catalogue
    at: datetime
    said: list[Said] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def new(self, stem: str) -> str:
        """A name that was never used."""
        self.count += 1
        return f"{stem}{self.rng.randint(100, 999)}-{self.count:03}"

    def pass_time(self) -> datetime:
        """Often nothing at all: stations stamp whole seconds."""
        self.at += timedelta(seconds=self.rng.choice([0, 0, 1, 1, 7, 45, 200]))
        return self.at

    def text(self, at: datetime) -> str:
        zone = self.rng.choice([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-7))])
        return at.astimezone(zone).isoformat()

    def event(self, station: str, type_: str, data: dict[str, Any], **attributes: str) -> dict[str, Any]:
        head = {"specversion": "1.0", "id": self.new("m"), "source": f"stations/{station}", "type": type_}
        return {**head, "time": self.text(self.at), "data": data, **attributes}

    def publish(self, station: str, event: dict[str, Any]) -> int:
        """Say it, on the topic that it belongs on. Returns its number in the day."""
        first, second = event["type"].split(".")[1:3]
        kind = "unit" if second == "received" else TOPICS[first]
        return self.raw(station, kind, json.dumps(event).encode())

    def raw(self, station: str, kind: str, payload: bytes) -> int:
        self.said.append(Said(station, f"mes/v1/{station}/{kind}", payload))
        return len(self.said) - 1

    def say(self, station: str, type_: str, **data: Any) -> int:
        return self.publish(station, self.event(station, type_, data))

    def station(self, kind: str) -> str:
        return self.names[kind]

    def doing(self, step: dict[str, Any]) -> str:
        """The station that does a step."""
        return self.station(step["station_kind"])

    # One event each

    def install(self, parent: str, position: str, child: dict[str, Any], station: str | None = None) -> int:
        at = self.text(self.pass_time())
        station = station or self.station(self.parts.kinds["A"])
        return self.say(station, "mes.part.installed", parent=parent, position=position, child=child, at=at)

    def remove(self, parent: str, position: str, child: dict[str, Any]) -> int:
        at = self.text(self.pass_time())
        station = self.station(self.parts.kinds["A"])
        return self.say(station, "mes.part.removed", parent=parent, position=position, child=child, at=at)

    def start(self, unit: str, step: dict[str, Any], station: str | None = None, **more: Any) -> int:
        at = self.text(self.pass_time())
        return self.say(station or self.doing(step), "mes.step.started", unit=unit, step=step["step"], at=at, **more)

    def complete(self, unit: str, step: dict[str, Any], outcome: str = "pass", **more: Any) -> int:
        at = self.text(self.pass_time())
        told = {"unit": unit, "step": step["step"], "at": at, "outcome": outcome, **more}
        return self.say(self.doing(step), "mes.step.completed", **told)

    def run(
        self,
        unit: str,
        step: dict[str, Any],
        values: list[Any],
        station: str | None = None,
        lasts_s: int = 60,
        **more: Any,
    ) -> int:
        """A run that ended now."""
        ended = self.pass_time() + timedelta(seconds=self.rng.randint(lasts_s, lasts_s + 60))
        self.at = ended
        began = ended - timedelta(seconds=lasts_s)
        told = {"started_at": self.text(began), "ended_at": self.text(ended), "outcome": "pass", "measurements": values}
        more = {"run": self.new("r"), **more}
        told |= {name: value for name, value in more.items() if value is not None}
        return self.say(station or self.doing(step), "mes.run.reported", unit=unit, step=step["step"], **told)

    # Values

    def good(self, product: dict[str, Any]) -> list[dict[str, Any]]:
        """Values within all limits; some at a limit, some in another unit."""
        return [self._good(one) for one in product["characteristics"]]

    def _good(self, limit: dict[str, Any]) -> dict[str, Any]:
        low = limit.get("low", limit.get("high", 0) - 8)
        high = limit.get("high", low + 8)
        value = self.rng.choice([low, high, (low + high) / 2])
        unit, factor = PREFIXED[limit["unit"]]
        if self.rng.random() < 0.3 and value not in (low, high):  # at a limit, rounding would decide
            return {"name": limit["name"], "value": value * factor, "unit": unit}
        return {"name": limit["name"], "value": value, "unit": limit["unit"]}

    def bad(self, product: dict[str, Any]) -> list[dict[str, Any]]:
        """The first value beyond its limit by a hair, or by far."""
        first, *rest = self.good(product)
        limit = product["characteristics"][0]
        beyond = self.rng.choice([limit["high"] + 2**-30, limit["low"] - 1, limit["high"] * 1000])
        return [{"name": first["name"], "value": beyond, "unit": limit["unit"]}, *rest]

    # Whole pieces of work

    def serial(self, part: str) -> dict[str, Any]:
        return {"part": part, "serial": self.new("S")}

    def content(self, line: dict[str, Any]) -> dict[str, Any]:
        """What a position wants, fresh from its box."""
        if self.parts.tracking(line["part"]) == "lot":
            return {"part": line["part"], "lot": self.new("L"), "quantity": line["quantity"]}
        return self.serial(self.rng.choice([line["part"], *line.get("alternates", [])]))

    def do(
        self, unit: str, product: dict[str, Any], name: str, content: dict[str, dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """A step as it should be done. Returns what was installed, by position."""
        step = next(one for one in product["route"] if one["step"] == name)
        lines = {place: line for line in product["bom"] for place in line["positions"]}
        run = self.new("r") if self.rng.random() < 0.6 else None
        if run or self.rng.random() < 0.5:
            self.start(unit, step, **({"run": run} if run else {}))
        filled = {place: (content or {}).get(place) or self.content(lines[place]) for place in step.get("installs", [])}
        for place, child in filled.items():
            self.install(unit, place, child)
        if "needs" in step:
            self.run(unit, step, self.good(product), run=run)
        else:
            self.complete(unit, step, **({"run": run} if run else {}))
        return filled
