"""A unit on its way, and what its work needs: what building, assembling, testing and mending share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from mes.formats.messages import Child, StepCompleted, StepStarted, UnitRef
from stations.facts import serialized
from stations.floor.chance import Chance
from stations.floor.deeds import After, Diary, Fact, Moment, Question, Stopped, What
from stations.floor.faults import Faults
from stations.floor.kinds import DOCK, kind_of
from stations.floor.plant import LOGISTICS, Bench, Plant, is_soak
from stations.floor.products import Catalog, Product, Step
from stations.floor.schedule import Schedule, Task
from stations.floor.stock import Stock


@dataclass
class Unit:
    """A unit on its way. `inside` is what was put into it, by position; `coming` the units that are built for it.

    `attempts`, `faults` (those that failed) and `failed` (those since the step was last to be done anew) are counts.
    `untold`: steps that are done, of which the MES hears at a time to come, because their station is offline.
    """

    product: Product
    serial: str
    passed: set[str] = field(default_factory=set)
    inside: "dict[str, Child | Unit]" = field(default_factory=dict)
    coming: "dict[str, Task[Unit]]" = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    untold: dict[str, float] = field(default_factory=dict)

    def lacks_from(self, step: str) -> None:
        """A step and all that come after it are to be done again."""
        for one in self.product.onward(step):
            self.passed.discard(one)
            self.failed.pop(one, None)

    def fails(self, step: str) -> None:
        """A step failed."""
        self.failed[step] = self.failed.get(step, 0) + 1
        self.faults[step] = self.faults.get(step, 0) + 1

    @property
    def ref(self) -> UnitRef:
        """How messages name it."""
        return UnitRef(self.serial)

    @property
    def as_child(self) -> Child:
        """What it is to the unit it is built into."""
        return serialized(self.product.part, self.serial)


def child_of(part: Child | Unit) -> Child:
    """What is put into a position, bought or built."""
    return part.as_child if isinstance(part, Unit) else part


@dataclass
class Floor:
    """The floor. `serial` gives the next serial of a part that is built, ordering it if need be; `soaked_at` is when
    the newest soak ended; from `watched_from` on people look at it, and `shown` is whether they get to see a soak fail.
    """

    schedule: Schedule
    catalog: Catalog
    plant: Plant
    diary: Diary
    chance: Chance
    faults: Faults
    stock: Stock
    golden: dict[str, str]
    serial: Callable[[str], str]
    soaked_at: float = 0.0
    watched_from: float = math.inf
    shown: bool = False

    @property
    def now(self) -> float:
        """The time on the floor."""
        return self.schedule.now

    def note(self, unit: Unit, what: What, after: Sequence[After] = ()) -> None:
        """Something happens to a unit, now."""
        self.diary.note(self.now, unit.serial, what, after=after)

    def take(self, unit: Unit, position: str) -> Child:
        """A part from stock for a position. It came in just before."""
        child = self.stock.part(unit.product.lines[position], unit.serial, position, len(unit.attempts))
        if self.stock.is_new(child):
            at, (dock,) = self.now, self.plant.pool(LOGISTICS, DOCK).things
            self.note(unit, Fact(dock.name, lambda moment: self.stock.receipt(child, at, moment)))
        return child

    def so_far(self, *units: Child | Unit) -> list[After]:
        """All that has happened to units until now."""
        return [self.diary.so_far(one.serial) for one in units if isinstance(one, Unit)]


@dataclass
class Attempt:
    """One attempt of a step: which, where, by whom, since when.

    `backlog` collects what an offline station can't tell yet; None: it is online.
    """

    floor: Floor
    unit: Unit
    step: Step
    number: int
    bench: Bench
    operator: str
    began: float
    backlog: list[tuple[float, What, Sequence[After]]] | None = None

    @property
    def run(self) -> str:
        """The station's own name for it."""
        return f"{self.unit.serial}.{self.step.step}.{self.number}"

    def tell(self, make: Callable[[Moment, float], Any], after: Sequence[After] = ()) -> None:
        """Its station says what happens now, or keeps it until it can."""
        at = self.floor.now
        what = Fact(self.bench.name, lambda moment: make(moment, at))
        if self.backlog is None:
            self.floor.note(self.unit, what, after)
        else:
            self.backlog.append((at, what, after))

    def ask(self, parts: Sequence[Child | Unit]) -> None:
        """May it begin, with these parts? A station that is offline can't ask."""
        if self.backlog is None:
            told = tuple(child_of(one) for one in parts)
            question = Question(self.bench.name, self.unit.serial, self.step.step, told)
            self.floor.note(self.unit, question, self.floor.so_far(*parts))

    def start(self) -> None:
        """It begins."""
        self.began = self.floor.now
        self.tell(lambda moment, at: StepStarted(self.unit.ref, self.step.step, moment(at), self.run, self.operator))

    def hear_stop(self) -> None:
        """The MES says that it has failed."""
        self.floor.note(self.unit, Stopped(self.bench.name, self.unit.serial, self.step.step, self.run))

    def complete(self) -> None:
        """It ends well, having measured nothing."""
        self.tell(
            lambda moment, at: StepCompleted(self.unit.ref, self.step.step, moment(at), "pass", self.run, self.operator)
        )

    @property
    def duration_s(self) -> float:
        """How long the work takes."""
        die = self.floor.chance.of(self.run, "duration")
        shortest = self.step.min_s
        if is_soak(self.step):
            return shortest * die.uniform(1.0005, 1.004) + 30
        usual = kind_of(self.step.station_kind).takes_s * die.uniform(0.8, 1.35)
        return max(shortest * die.uniform(1.02, 1.2) + 2, usual)
