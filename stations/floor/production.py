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
from stations.floor.mishaps import plan_dead_parts, plan_hot_soak, plan_swapped_wires
from stations.floor.plant import LOGISTICS, Plant, is_soak
from stations.floor.products import Catalog, Product
from stations.floor.schedule import Process, Schedule, Task
from stations.floor.serials import Serials
from stations.floor.stock import Stock
from stations.floor.work import Floor, Unit

GOLDEN: Final = "GOLDEN"
RELEASED_EVERY_S: Final = 12 * 3600.0
"""How often the next top unit is ordered where production goes on."""
BUILT_IN_S: Final = 8 * 24 * 3600.0
"""In this time a top unit is done, whatever goes wrong."""
FIELD_EVERY_S: Final = 600.0
PER_H: Final = 5.0
SMALL_PER_H: Final = 20.0
"""How many units of a product are built for the field in an hour, roughly: by keeping so many in work."""
QUICK_S: Final = 900.0
FIELD_BEFORE_S: Final = 4 * 3600.0


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
        self._in_the_making: dict[str, list[Task[Unit]]] = defaultdict(list)
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
        ordered = []
        for part, quantity in sorted(self.catalog.inside(self.top.part).items()):
            serials = self._order(part, quantity + (part == spare.part), customer_order)
            self._waiting[part].extend(serials)
            plan_swapped_wires(self.floor, self.catalog[part], serials)
            if part not in (self.top.part, spare.part):
                ordered.append((self.catalog[part], serials))
        plan_hot_soak(self.floor, ordered)
        unit = begin(self.floor, self.top.part)
        if number - 1 == self._unlucky % of:
            plan_dead_parts(self.floor, unit)
        self.tops.append(self.schedule.spawn(build(self.floor, unit)))
        self.spares.append(self.schedule.spawn(self._sent(begin(self.floor, spare.part), customer_order)))

    def send(self, number: int) -> None:
        """Let a top unit be packed and shipped when it is built."""
        self.schedule.spawn(self._sent_when_built(self.tops[number], f"C-{self.prefix}{number + 1}"))

    def go_on(self, tops: int, busy_from: float) -> None:
        """Production without an end: so many of `top` in good time before `busy_from`, and then one after the other."""
        self.floor.watched_from = busy_from
        self.schedule.spawn(self._tops(tops, busy_from))
        self.schedule.spawn(self._for_the_field(), max(0.0, busy_from - FIELD_BEFORE_S))

    def _tops(self, tops: int, busy_from: float) -> Process[None]:
        every_s = max(0.0, busy_from - BUILT_IN_S) / tops
        begins = [number * every_s for number in range(tops)]
        begins += [one for one in (busy_from - 27.5 * 3600, busy_from - 3600) if one > begins[-1]]
        number = 0
        while True:
            at = begins[number] if number < len(begins) else self.schedule.now + RELEASED_EVERY_S
            yield max(0.0, at - self.schedule.now)
            self.release(tops)
            self.send(number)
            number += 1

    def _for_the_field(self) -> Process[None]:
        """Parts for the field are built beside, so that no line is idle."""
        inside = [self.catalog[part] for part in sorted(self.catalog.inside(self.top.part))]
        quick = [one for one in inside if one is not self.top and self._is_quick(one)]
        smallest = _smallest(self.catalog, self.top)
        number = 0
        while True:
            number += 1
            for product in quick:
                wanted = _in_work(product, SMALL_PER_H if product is smallest else PER_H)
                missing = wanted - sum(not one.done for one in self._in_the_making[product.part])
                if missing >= wanted / 3:
                    self._begin_some(product, missing, f"S-{self.prefix}{number}")
            yield FIELD_EVERY_S

    def _is_quick(self, product: Product) -> bool:
        """Whether it is built of bought parts alone, and no step but a soak takes long."""
        return not any(self.catalog[line.part].is_built for line in product.bom) and all(
            is_soak(step) or step.min_s < QUICK_S for step in product.route
        )

    def _begin_some(self, product: Product, quantity: int, customer_order: str) -> None:
        begun = [one for one in self._in_the_making[product.part] if not one.done]
        for serial in self._order(product.part, quantity, customer_order):
            unit = begin(self.floor, product.part, serial)
            begun.append(self.schedule.spawn(self._sent(unit, customer_order)))
        self._in_the_making[product.part] = begun

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
        yield 1800.0
        pool = self.plant.pool(LOGISTICS, PACKING)
        bench = yield from pool.take()
        yield 120.0
        at, crate = self.schedule.now, f"CRATE-{unit.serial}"
        self.floor.note(unit, Fact(bench.name, lambda moment: UnitPacked(unit.ref, moment(at), crate)))
        self.schedule.give_back(pool, bench)
        yield 3600.0
        self.floor.note(unit, Shipped(unit.serial, customer_order, "Hall 4", crew.PLANNER))


def _in_work(product: Product, per_h: float) -> int:
    """How many units must be in work so that so many are done in an hour."""
    return round(per_h * (1.5 + sum(step.min_s for step in product.route) / 3600))


def _smallest(catalog: Catalog, top: Product) -> Product:
    """What is built the quickest of all that is in a top unit: a spare of it goes with the rest."""
    inside = [catalog[part] for part in catalog.inside(top.part)]
    return min(inside, key=lambda one: (sum(step.min_s for step in one.route), one.part))
