"""Building a unit: its children first, then its route, until every step has passed.

Steps that may be done now are taken in any order. Where one fails, `mending` finds out why and what is tested again.
"""

from typing import Final

from mes.formats.messages import Child
from stations.floor import crew
from stations.floor.assembly import fill
from stations.floor.deeds import Away, Back
from stations.floor.faults import Fault
from stations.floor.inventories import read_inventory
from stations.floor.mending import Builder, mend
from stations.floor.mishaps import hot_while_watched
from stations.floor.plant import Bench, is_soak
from stations.floor.products import FIRMWARE, Step
from stations.floor.reports import check, give_up, report, soaked, stopped
from stations.floor.schedule import Pool, Process, Task
from stations.floor.work import Attempt, Floor, Unit

CARRIED_S: Final = (20.0, 140.0)
"""How long it takes to bring a unit to the next station."""
OFFLINE: Final = 0.15
"""Share of attempts, of those that need no answer, at a station that can't reach the MES for a while."""
OFFLINE_S: Final = (600.0, 2400.0)
BROKE_OFF: Final = 0.4
"""How much of its time a test took that broke off."""


def begin(floor: Floor, part: str, serial: str | None = None) -> Unit:
    """A unit that is to be built, and all that is to be built for it, begun at once."""
    product = floor.catalog[part]
    unit = Unit(product, serial or floor.serial(part))
    for position, line in product.lines.items():
        if floor.catalog[line.part].is_built:
            unit.coming[position] = floor.schedule.spawn(build(floor, begin(floor, line.part)))
    return unit


def build(floor: Floor, unit: Unit) -> Process[Unit]:
    """Take a unit through what is left of its route."""
    while len(unit.passed) < len(unit.product.route):
        step = _next(floor, unit)
        if step is None:
            yield from _wait_for_news(floor, unit)
            continue
        parts = yield from _gather(floor, unit, step)
        fault = yield from attempt(floor, unit, step, parts)
        if fault:
            yield from mend(floor, unit, step, fault, BUILDER)
    yield from _wait_for_news(floor, unit)
    return unit


def _next(floor: Floor, unit: Unit) -> Step | None:
    """A step that may be done now; None while all wait for what an offline station has to tell."""
    unit.untold = {step: back_at for step, back_at in unit.untold.items() if back_at >= floor.now}
    told = unit.passed - unit.untold.keys()
    ready = [one for one in unit.product.ready(unit.passed) if all(name in told for name in _before(unit, one))]
    return floor.chance.of(unit.serial, len(unit.passed), "next").choice(ready) if ready else None


def _before(unit: Unit, step: Step) -> set[str]:
    found = set(step.after)
    for _ in unit.product.route:
        found |= {name for one in found for name in unit.product.steps[one].after}
    return found


def _wait_for_news(floor: Floor, unit: Unit) -> Process[None]:
    if unit.untold:
        yield max(0.0, max(unit.untold.values()) - floor.now) + 1.0
        unit.untold.clear()


def _gather(floor: Floor, unit: Unit, step: Step) -> Process[dict[str, Child | Unit]]:
    """What the step puts in: parts from stock, received just before, and units once they are built."""
    parts: dict[str, Child | Unit] = {}
    for position in step.installs:
        if position in unit.inside:
            continue
        if position in unit.coming:
            parts[position] = yield unit.coming[position]
        else:
            parts[position] = floor.take(unit, position)
    return parts


def attempt(floor: Floor, unit: Unit, step: Step, parts: dict[str, Child | Unit]) -> Process[Fault | None]:
    """One attempt of a step, repeated while the station is at fault; the product's fault, if it has one."""
    pool = floor.plant.pool(unit.product.family, step.station_kind)
    bench: Bench = yield from pool.take()
    number = unit.attempts.get(step.step, 0) + 1
    yield floor.chance.of(unit.serial, step.step, number, "carried").uniform(*CARRIED_S)
    yield from check(floor, bench, unit.product, step)
    while True:
        unit.attempts[step.step] = number
        done = Attempt(floor, unit, step, number, bench, crew.operator(floor.now, bench.name), floor.now)
        if not floor.faults.of_station(unit.serial, step, number):
            break
        yield from _broken_off(done)
        number += 1
    fault = floor.faults.of_product(unit.product, unit.serial, step, number) or hot_while_watched(done)
    comes_back = yield from _carried_out(done, parts, fault)
    floor.schedule.spawn(_given_back(floor, pool, bench, comes_back))
    if fault is None:
        unit.passed.add(step.step)
        unit.failed.pop(step.step, None)
    else:
        unit.fails(step.step)
    return fault


def _given_back(floor: Floor, pool: Pool[Bench], bench: Bench, comes_back: Task[None] | None) -> Process[None]:
    """Nobody else uses a station before it is back."""
    if comes_back:
        yield comes_back
    yield 0.0
    floor.schedule.give_back(pool, bench)


def _broken_off(done: Attempt) -> Process[None]:
    done.ask([])
    yield 2.0
    done.start()
    yield done.duration_s * BROKE_OFF if not is_soak(done.step) else 1800.0
    give_up(done)
    yield 60.0


def _carried_out(done: Attempt, parts: dict[str, Child | Unit], fault: Fault | None) -> Process[Task[None] | None]:
    """From the question to the end. Of an offline station, what it has to tell once it is back."""
    _perhaps_offline(done)
    done.ask(list(parts.values()))
    yield 2.0
    done.start()
    ends = done.began + done.duration_s * (BROKE_OFF if fault and is_soak(done.step) else 1.0)
    yield from fill(done, parts)
    live = fault.live if fault else None
    if is_soak(done.step):
        yield from soaked(done, ends, live)
        done.floor.soaked_at = done.floor.now
    elif ends > done.floor.now:
        yield ends - done.floor.now
    if FIRMWARE in done.step.needs:
        read_inventory(done, fault)
    if live:
        yield from stopped(done)
    elif done.step.needs:
        report(done, fault)
    else:
        done.complete()
    if done.backlog is not None:
        floor, back_at = done.floor, done.unit.untold[done.step.step]
        return floor.schedule.spawn(_comes_back(done), max(floor.now, back_at))
    return None


def _perhaps_offline(done: Attempt) -> None:
    """Some stations work on while the network is down, where the definition lets them, and tell it later."""
    floor, step, unit = done.floor, done.step, done.unit
    others = [one for one in unit.product.ready(unit.passed) if one is not step]
    if step.on_no_answer != "go_on" or step.needs or not others or unit.untold:
        return
    die = floor.chance.of(done.run, "offline")
    if die.random() < OFFLINE:
        done.backlog = []
        floor.note(unit, Away(done.bench.name))
        unit.untold[step.step] = floor.now + done.duration_s * 1.5 + die.uniform(*OFFLINE_S)


def _comes_back(done: Attempt) -> Process[None]:
    """The station is back and tells what it did meanwhile."""
    yield 0.0
    done.floor.note(done.unit, Back(done.bench.name))
    for at, what, after in done.backlog or ():
        done.floor.diary.note(at, done.unit.serial, what, after=after, told_at=done.floor.now)


BUILDER: Final = Builder(build, begin)
