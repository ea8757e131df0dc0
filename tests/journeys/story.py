"""A day on a floor that nobody has seen: five inner units and two top units are built, and everything goes wrong once.

The same seed tells the same day.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from tests.journeys.product import Catalogue, catalogue, part_number
from tests.journeys.teller import Said, Teller

Content = dict[str, dict[str, Any]]


@dataclass
class Story:
    """What is set up, what is said, and when things are asked about. `late_*` come after all was said."""

    parts: Catalogue
    stations: dict[str, str]
    late_station: dict[str, str]
    orders: list[dict[str, Any]]
    late_order: dict[str, Any]
    said: list[Said]
    began: datetime
    ended: datetime

    @property
    def serials(self) -> dict[str, str]:
        """The made units' parts."""
        return {serial: order["part"] for order in (*self.orders, self.late_order) for serial in order["serials"]}

    @property
    def moments(self) -> list[datetime]:
        """Three moments to ask about: in the middle of the work, at its end, and now."""
        length = self.ended - self.began
        return [self.began + length / 3, self.began + length * 0.8, self.ended]


def tell(seed: int) -> Story:
    """The day of a seed. It ended an hour ago."""
    rng = Random(seed)
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=8)
    day = Day(rng, began)
    day.build()
    day.spoil()
    ended = day.teller.at
    assert ended < datetime.now(UTC) - timedelta(hours=1), "the day is too long"
    return Story(day.parts, day.stations, day.late_station, day.orders, day.late_order, day.said, began, ended)


class Day:
    """Tells the day. Each method whose name is a mistake makes it."""

    def __init__(self, rng: Random, began: datetime) -> None:
        self.rng = rng
        self.parts = parts = catalogue(rng)
        self.teller = Teller(rng, parts, began)
        new = self.teller.new
        self.stations = {new(f"st-{letter.lower()}"): kind for letter, kind in parts.kinds.items()}
        self.late_station = {new("st-late"): parts.kinds["T"]}
        self.teller.names = {kind: name for name, kind in self.stations.items()}
        self.inner = [new("IN") for _ in range(5)]
        self.top = [new("TOP") for _ in range(2)]
        self.orders = [self.order(parts.inner, self.inner[:4]), self.order(parts.top, self.top)]
        self.late_order = self.order(parts.inner, self.inner[4:])
        self.holds: dict[str, Content] = {}

    def order(self, product: dict[str, Any], serials: list[str]) -> dict[str, Any]:
        head = {"number": self.teller.new("WO"), "part": product["part"], "revision": product["revision"]}
        return {**head, "quantity": len(serials), "serials": serials}

    @property
    def said(self) -> list[Said]:
        return self.teller.said

    def step(self, name: str) -> dict[str, Any]:
        made = [step for product in self.parts.made for step in product["route"]]
        return next(step for step in made if step["step"] == name)

    @property
    def chips(self) -> list[str]:
        return list(self.parts.inner["bom"][0]["positions"])

    # The work

    def build(self) -> None:
        """Every unit once, each with what went wrong with it."""
        self.out_of_route(self.inner[2])
        for serial in self.inner:
            self.assemble(serial)
        self.scanned_twice(self.inner[0])
        self.wrong_slot(self.inner[0])
        self.tested_after_failing(self.inner[1])
        self.wrong_part(self.inner[2])
        self.attempts_used(self.inner[3])
        for serial in (self.inner[0], self.inner[2], self.inner[4]):
            self.teller.do(serial, self.parts.inner, "s-test")
        self.parts_of_lots(self.inner[4])
        for number, serial in enumerate(self.top):
            self.build_top(serial, self.inner[2 * number : 2 * number + 2])
        self.leave(self.top[0])

    def assemble(self, serial: str) -> None:
        held = self.holds.setdefault(serial, {})
        for name in ("s-place", "s-close"):
            held.update(self.teller.do(serial, self.parts.inner, name))

    def build_top(self, serial: str, inner: list[str]) -> None:
        slots = self.parts.top["bom"][0]["positions"]
        content = {
            slot: {"part": self.parts.inner["part"], "serial": one} for slot, one in zip(slots, inner, strict=True)
        }
        self.holds[serial] = {}
        for name in ("t-place", "t-power", "t-test", "t-final"):
            self.holds[serial].update(self.teller.do(serial, self.parts.top, name, content))
            if name == "t-power":
                self.pack(serial)  # much too early: moves nothing

    def pack(self, serial: str, verb: str = "packed") -> None:
        at = self.teller.text(self.teller.pass_time())
        self.teller.say(self.teller.station(self.parts.kinds["F"]), f"mes.unit.{verb}", unit=serial, at=at)

    def leave(self, serial: str) -> None:
        """Packed and shipped; what is said of it afterwards moves nothing."""
        self.pack(serial)
        self.pack(serial, "shipped")
        self.teller.run(serial, self.step("t-test"), self.teller.bad(self.parts.top))

    # What goes wrong with a unit

    def out_of_route(self, serial: str) -> None:
        """Tested before anything is in it, and placed at a tester."""
        self.teller.run(serial, self.step("s-test"), self.teller.good(self.parts.inner))
        step = self.step("s-place")
        self.teller.start(serial, step, station=self.teller.station(self.parts.kinds["T"]))

    def scanned_twice(self, serial: str) -> None:
        """Once more a little later, and that again under another id, as by a station that lost its notes."""
        place = self.chips[0]
        again = self.teller.install(serial, place, self.holds[serial][place])
        event = json.loads(self.said[again].payload)
        self.teller.publish(self.said[again].station, {**event, "id": self.teller.new("m")})

    def wrong_slot(self, serial: str) -> None:
        """The second chip is scanned into the first one's slot; both are put right."""
        first, second = self.chips[:2]
        held = self.holds[serial]
        self.teller.install(serial, first, held[second])
        self.teller.install(serial, second, held[second])
        self.teller.install(serial, first, held[first])

    def wrong_part(self, serial: str) -> None:
        """A part that is not approved, corrected; and a slot that does not exist."""
        place = self.chips[-1]
        self.teller.install(serial, place, self.teller.serial(self.parts.stranger))
        self.teller.install(serial, place, self.teller.serial(self.parts.chip))
        self.teller.install(serial, "NOWHERE", self.teller.serial(self.parts.chip))

    def tested_after_failing(self, serial: str) -> None:
        """Fails, ends in error, lacks a value, is aborted, is too quick for anyone; then passes. A golden run fails."""
        teller, product, step = self.teller, self.parts.inner, self.step("s-test")
        teller.run(serial, step, teller.bad(product))
        teller.run(serial, step, teller.bad(product), outcome="error")
        teller.run(serial, step, teller.good(product)[:1])
        teller.run(serial, step, [], outcome="aborted")
        teller.start(serial, step, run=teller.new("r"))  # its end never comes
        teller.run(serial, step, teller.bad(product), purpose="golden")
        teller.run(serial, step, teller.good(product), lasts_s=1)
        teller.do(serial, product, "s-test")

    def attempts_used(self, serial: str) -> None:
        """Fails twice, so that a pass counts no more; the second time only the station says so."""
        teller, product, step = self.teller, self.parts.inner, self.step("s-test")
        teller.run(serial, step, teller.bad(product))
        teller.run(serial, step, teller.good(product), outcome="fail")
        teller.run(serial, step, teller.good(product))

    def parts_of_lots(self, serial: str) -> None:
        """Some screws are taken out, too few put back, then some of a lot without saying how many."""
        teller, screws = self.teller, self.holds[serial]["SCREWS"]
        teller.remove(serial, "SCREWS", {**screws, "quantity": 1})
        fresh = {"part": self.parts.screw, "lot": teller.new("L")}
        teller.install(serial, "SCREWS", {**fresh, "quantity": 0.5})
        if self.rng.random() < 0.5:
            teller.install(serial, "SCREWS", fresh)

    # What goes wrong on the floor

    def spoil(self) -> None:
        """Mistakes that concern several units, the stations and the messages themselves, in any order."""
        mistakes = [self.stolen, self.nothing_there, self.other_content, self.too_early, self.unknown, self.unreadable]
        mistakes += [self.late, self.in_itself, self.in_one_message, *[self.noise] * 8]
        self.rng.shuffle(mistakes)
        for mistake in mistakes:
            mistake()
        self.from_the_future()

    def stolen(self) -> None:
        """A chip turns up in another unit; the one that lost it gets another and is tested again."""
        place, thief, victim = self.rng.choice(self.chips), self.inner[3], self.inner[1]
        self.teller.install(thief, place, self.holds[victim][place])
        if self.rng.random() < 0.7:
            self.teller.install(victim, place, self.teller.serial(self.parts.chip))
            self.teller.do(victim, self.parts.inner, "s-test")

    def nothing_there(self) -> None:
        """Something is taken out that is not there; something else really is, for good."""
        self.teller.remove(self.inner[0], self.chips[0], self.teller.serial(self.parts.chip))
        top = self.top[1]
        if self.rng.random() < 0.5:
            self.teller.remove(top, "SUPPLY", self.holds[top]["SUPPLY"])

    def other_content(self) -> None:
        """The same run told twice with different values, and one id used for two messages."""
        step, product = self.step("s-test"), self.parts.inner
        first = self.teller.run(self.inner[0], step, self.teller.good(product))
        event = json.loads(self.said[first].payload)
        data = {**event["data"], "measurements": self.teller.bad(product)}
        station = self.said[first].station
        self.teller.publish(station, {**event, "id": self.teller.new("m"), "data": data})
        self.teller.publish(station, {**event, "data": {**data, "run": self.teller.new("r")}})

    def too_early(self) -> None:
        """A step ends at another kind of station before it may even begin."""
        at = self.teller.text(self.teller.pass_time())
        told = {"unit": self.top[1], "step": "t-final", "at": at, "outcome": "pass"}
        self.teller.say(self.teller.station(self.parts.kinds["A"]), "mes.step.completed", **told)

    def unknown(self) -> None:
        """A serial that nobody ordered, a made child that nobody made, and a part number that nobody knows."""
        self.teller.run(self.teller.new("IN"), self.step("s-test"), [])
        slot = self.parts.top["bom"][0]["positions"][0]
        self.teller.install(self.top[1], slot, self.teller.serial(self.parts.inner["part"]))
        self.teller.install(self.inner[3], self.chips[0], self.teller.serial(part_number(self.rng)))

    def unreadable(self) -> None:
        """No JSON; no unit; and a station that speaks under another's name."""
        first, second = list(self.stations)[:2]
        self.teller.raw(first, "run", b"\x00{not json" + self.rng.randbytes(4))
        self.teller.say(first, "mes.unit.packed", at=self.teller.text(self.teller.at))
        event = self.teller.event(
            first, "mes.unit.packed", {"unit": self.top[1], "at": self.teller.text(self.teller.at)}
        )
        self.teller.publish(second, event)

    def late(self) -> None:
        """A station that is not registered yet tests."""
        (station,) = self.late_station
        product = self.parts.inner
        values = self.rng.choice([self.teller.good, self.teller.bad])(product)
        self.teller.run(self.rng.choice(self.inner), self.step("s-test"), values, station=station)

    def in_itself(self) -> None:
        """A unit is scanned into itself, and a top unit into its own inner one."""
        one, top = self.inner[3], self.top[1]
        self.teller.install(one, self.chips[0], {"part": self.parts.inner["part"], "serial": one})
        self.teller.install(one, self.chips[0], {"part": self.parts.top["part"], "serial": top})

    def in_one_message(self) -> None:
        """A station that was away sends what it had in one batch."""
        step, station = self.step("s-close"), self.teller.station(self.parts.kinds["A"])
        batch = []
        for outcome in ("fail", "pass"):
            at = self.teller.text(self.teller.pass_time())
            told = {"unit": self.inner[4], "step": step["step"], "at": at, "outcome": outcome}
            batch.append(self.teller.event(station, "mes.step.completed", told))
        self.teller.raw(station, "step", json.dumps(batch).encode())

    def noise(self) -> None:
        """Anything, anywhere, at any time of the day."""
        teller, rng = self.teller, self.rng
        now, serial = teller.at, rng.choice([*self.inner, *self.top])
        product = self.parts.top if serial in self.top else self.parts.inner
        step = rng.choice([*product["route"], {"step": "s-dream", "station_kind": self.parts.kinds["F"]}])
        place, child = rng.choice([(place, child) for held in self.holds.values() for place, child in held.items()])
        into = rng.choice([one for line in product["bom"] for one in line["positions"]])
        teller.at -= timedelta(seconds=rng.randint(0, 3000))
        acts = [
            lambda: teller.install(serial, into, child),
            lambda: teller.remove(serial, place, child),
            lambda: teller.start(serial, step),
            lambda: teller.complete(serial, step, rng.choice(["pass", "fail", "error"])),
            lambda: teller.run(serial, step, rng.choice([teller.good, teller.bad])(product)),
            lambda: self.pack(serial),
        ]
        rng.choice(acts)()
        teller.at = now

    def from_the_future(self) -> None:
        """A unit fails; a station whose clock is hours ahead tests it again: that counts as of its arrival."""
        step, product = self.step("s-test"), self.parts.inner
        self.teller.run(self.inner[1], step, self.teller.bad(product))
        now, self.teller.at = self.teller.at, datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
        self.teller.run(self.inner[1], step, self.teller.good(product))
        self.teller.at = now
