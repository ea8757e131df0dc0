"""Production: racks are ordered one after another, each with all that is built into it, built, and sent on its way."""

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from typing import Any, Final

from mes.formats.messages import UnitPacked
from stations.floor import crew
from stations.floor.building import begin, build
from stations.floor.chance import Chance
from stations.floor.deeds import ORDERS, Diary, Fact, Ordered, Shipped
from stations.floor.faults import Faults
from stations.floor.kinds import PACKING, kind_of
from stations.floor.mishaps import plan_dead_parts, plan_swapped_wires
from stations.floor.plant import LOGISTICS, Plant
from stations.floor.products import Catalog, Product
from stations.floor.schedule import Process, Schedule, Task
from stations.floor.serials import Serials
from stations.floor.stock import Stock
from stations.floor.work import Floor, Unit

GOLDEN: Final = "GOLDEN"


class Production:
    """A floor that builds units of `top`. `block` numbers it apart from other floors of the same MES."""

    def __init__(self, documents: Iterable[Mapping[str, Any]], top: str, *, seed: int, block: int) -> None:
        self.catalog = Catalog(documents)
        self.top = self.catalog[top]
        self.prefix = f"D{block}-"
        self.schedule = Schedule()
        self.plant = Plant(self.schedule, self.catalog, top)
        self.diary = Diary(f"floor-{block}")
        self.tops: list[Task[Unit]] = []
        self.spares: list[Task[Unit]] = []
        self.serials = Serials(self.catalog, block)
        self._waiting: dict[str, deque[str]] = defaultdict(deque)
        self._orders = 0
        chance = Chance(f"{seed}/{block}")
        stock = Stock(self.catalog, chance, block)
        self.floor = Floor(
            self.schedule, self.catalog, self.plant, self.diary, chance, Faults(chance), stock, {}, self._serial
        )
        self._unlucky = chance.of("dead parts").randrange(1_000_000)

    def set_up(self) -> None:
        """Order the known good units that testers are checked with."""
        for part in sorted(self.catalog.inside(self.top.part)):
            product = self.catalog[part]
            if product is not self.top and any(kind_of(step.station_kind).golden for step in product.route):
                (self.floor.golden[part],) = self._order(part, 1, GOLDEN)

    def release(self, of: int) -> None:
        """Order the next unit of `top` with all that is built into it, one of `of`, and begin."""
        number = len(self.tops) + 1
        customer_order = f"C-{self.prefix}{number}"
        spare = _smallest(self.catalog, self.top)
        for part, quantity in sorted(self.catalog.inside(self.top.part).items()):
            serials = self._order(part, quantity + (part == spare.part), customer_order)
            self._waiting[part].extend(serials)
            plan_swapped_wires(self.floor, self.catalog[part], serials)
        unit = begin(self.floor, self.top.part)
        if number - 1 == self._unlucky % of:
            plan_dead_parts(self.floor, unit)
        self.tops.append(self.schedule.spawn(build(self.floor, unit)))
        self.spares.append(self.schedule.spawn(self._sent(begin(self.floor, spare.part), customer_order)))

    def send(self, number: int) -> None:
        """Let a top unit be packed and shipped when it is built."""
        self.schedule.spawn(self._sent_when_built(self.tops[number], f"C-{self.prefix}{number + 1}"))

    def _order(self, part: str, quantity: int, customer_order: str) -> tuple[str, ...]:
        self._orders += 1
        serials = self.serials.draw(part, quantity)
        number = f"{self.prefix}{self._orders:04}"
        ordered = Ordered(number, part, self.catalog[part].revision, serials, customer_order)
        self.diary.note(self.schedule.now, ORDERS, ordered)
        return serials

    def _serial(self, part: str) -> str:
        """The next serial that was ordered; one more is ordered where a unit was lost."""
        waiting = self._waiting[part]
        if not waiting:
            waiting.extend(self._order(part, 1, "REPLACEMENT"))
        return waiting.popleft()

    def _sent_when_built(self, task: Task[Unit], customer_order: str) -> Process[None]:
        unit: Unit = yield task
        yield from self._out(unit, customer_order)

    def _sent(self, unit: Unit, customer_order: str) -> Process[Unit]:
        yield from build(self.floor, unit)
        yield from self._out(unit, customer_order)
        return unit

    def _out(self, unit: Unit, customer_order: str) -> Process[None]:
        """Packed and shipped."""
        yield 2 * 3600.0
        pool = self.plant.pool(LOGISTICS, PACKING)
        bench = yield from pool.take()
        yield 900.0
        at, crate = self.schedule.now, f"CRATE-{unit.serial}"
        self.floor.note(unit, Fact(bench.name, lambda moment: UnitPacked(unit.ref, moment(at), crate)))
        self.schedule.give_back(pool, bench)
        yield 3600.0
        self.floor.note(unit, Shipped(unit.serial, customer_order, "Hall 4", crew.PLANNER))


def _smallest(catalog: Catalog, top: Product) -> Product:
    """What is built the quickest of all that is in a top unit: a spare of it goes with the rest."""
    inside = [catalog[part] for part in catalog.inside(top.part)]
    return min(inside, key=lambda one: (sum(step.min_s for step in one.route), one.part))
