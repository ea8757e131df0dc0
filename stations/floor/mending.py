"""After a failure: an engineer finds out why, a technician mends it, and the unit is tested again as it must be."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from mes.formats.messages import Child
from stations.floor import crew
from stations.floor.assembly import install, remove
from stations.floor.deeds import After, Diagnosed, Repaired, Ruled
from stations.floor.faults import Fault
from stations.floor.kinds import REPAIR, kind_of
from stations.floor.plant import Bench
from stations.floor.products import Step
from stations.floor.reports import report
from stations.floor.schedule import Process, Task
from stations.floor.work import Attempt, Floor, Unit, child_of

LOOKED_AT_S: Final = (600.0, 2700.0)
"""How long it takes until an engineer knows why."""
MENDED_S: Final = (600.0, 2400.0)
AT_ONCE_S: Final = (40.0, 160.0)
"""How long either takes while people watch: everyone is at hand."""


class Builder:
    """What mending needs of building: to go on with a unit, and to begin another."""

    def __init__(self, build: Callable[[Floor, Unit], Process[Unit]], begin: Callable[[Floor, str], Unit]) -> None:
        self.build = build
        self.begin = begin


def mend(floor: Floor, unit: Unit, step: Step, fault: Fault, builder: Builder) -> Process[None]:
    """Diagnose and repair a unit that failed a step; afterwards it lacks the steps that are to be done again."""
    die = floor.chance.of(unit.serial, step.step, unit.attempts[step.step], "mend")
    nth = unit.faults[step.step]
    yield _takes_s(floor, die, LOOKED_AT_S)
    floor.note(unit, Diagnosed(unit.serial, step.step, nth, fault.found, crew.engineer(floor.now)))
    if step.attempts is not None and unit.failed[step.step] >= step.attempts:
        yield 900.0
        floor.note(unit, Ruled(unit.serial, step.step, nth, "rework", "The cause is known.", crew.QUALITY[0]))
        unit.failed.pop(step.step)
    repair = yield from _at_bench(floor, unit, step, _takes_s(floor, die, MENDED_S))
    if fault.position in unit.inside:
        repair = yield from _replace(repair, fault.position, fault, builder)
    floor.note(unit, Repaired(unit.serial, step.step, nth, fault.done, repair.operator))
    yield 60.0


def _takes_s(floor: Floor, die: Random, usual: tuple[float, float]) -> float:
    """As long as usual, unless people begin to watch before that."""
    return min(die.uniform(*usual), max(0.0, floor.watched_from - floor.now) + die.uniform(*AT_ONCE_S))


def _at_bench(floor: Floor, unit: Unit, step: Step, takes_s: float) -> Process[Attempt]:
    """Work at a repair bench, until now; it is free again as soon as what was done is told."""
    pool = floor.plant.pool(unit.product.family, REPAIR)
    bench: Bench = yield from pool.take()
    yield takes_s
    floor.schedule.give_back(pool, bench)
    return Attempt(floor, unit, step, unit.attempts.get(step.step, 1), bench, crew.technician(floor.now), floor.now)


def _replace(repair: Attempt, position: str, fault: Fault, builder: Builder) -> Process[Attempt]:
    """Take out what is at fault and put in what is not; what was proven with it is to be proven again."""
    floor, unit = repair.floor, repair.unit
    old = unit.inside.pop(position)
    remove(repair, position, old, fault.found)
    if retest_from := unit.product.lines[position].retest_from:
        unit.lacks_from(retest_from)
    new: Child | Unit
    if fault.reseated:
        new = old
    elif isinstance(old, Unit):
        new = yield from _overhauled(repair, old, fault, builder)
    else:
        new = floor.take(unit, position)
    again = yield from _at_bench(floor, unit, repair.step, 240.0)
    install(again, position, new)
    unit.inside[position] = new
    return again


def _overhauled(outer: Attempt, unit: Unit, fault: Fault, builder: Builder) -> Process[Unit]:
    """A unit that was taken out of another is mended, and tested again, before it goes back.

    One in which nothing can be replaced makes room for another.
    """
    floor, after = outer.floor, outer.floor.so_far(outer.unit)
    positions = fault.dead or _suspects(floor, unit)
    if not positions:
        floor.schedule.spawn(_given_up(floor, unit, after))
        return (yield from builder.build(floor, builder.begin(floor, unit.product.part)))
    repair = yield from _at_bench(floor, unit, outer.step, 420.0)
    coming: dict[str, Task[Unit]] = {}
    for position in positions:
        old = unit.inside.pop(position)
        remove(repair, position, old, "dead" if fault.dead else fault.found, after)
        unit.lacks_from(unit.product.lines[position].retest_from or unit.product.route[-1].step)
        if isinstance(old, Unit):
            floor.schedule.spawn(_given_up(floor, old, floor.so_far(unit)))
            coming[position] = floor.schedule.spawn(builder.build(floor, builder.begin(floor, old.product.part)))
    for position in positions:
        new: Child | Unit = (yield coming[position]) if position in coming else floor.take(unit, position)
        repair = yield from _at_bench(floor, unit, outer.step, 300.0)
        install(repair, position, new)
        unit.inside[position] = new
    return (yield from builder.build(floor, unit))


def _suspects(floor: Floor, unit: Unit) -> tuple[str, ...]:
    """The part that is to blame, as far as one can tell from outside."""
    lines = unit.product.lines
    found = [one for one, part in unit.inside.items() if lines[one].retest_from and child_of(part).serial]
    return (floor.chance.of(unit.serial, len(unit.attempts), "suspect").choice(found),) if found else ()


def _given_up(floor: Floor, unit: Unit, after: Sequence[After]) -> Process[None]:
    """What was taken out dead fails on the tester once more, and quality gives it up."""
    step = _telling_step(unit)
    if step is None:
        return
    yield 3600.0
    pool = floor.plant.pool(unit.product.family, step.station_kind)
    bench: Bench = yield from pool.take()
    number = unit.attempts.get(step.step, 0) + 1
    done = Attempt(floor, unit, step, number, bench, crew.operator(floor.now, bench.name), floor.now)
    unit.attempts[step.step] = number
    yield done.duration_s
    die = floor.chance.of(unit.serial, "given up")
    found = Fault(die.choice(unit.product.required(step)), None, "Failed in the field: no output.", "")
    report(done, found, after)
    unit.fails(step.step)
    nth = unit.faults[step.step]
    floor.schedule.give_back(pool, bench)
    yield die.uniform(*LOOKED_AT_S)
    floor.note(unit, Diagnosed(unit.serial, step.step, nth, found.found, crew.engineer(floor.now)))
    yield 1800.0
    floor.note(unit, Ruled(unit.serial, step.step, nth, "scrap", "Not worth its repair.", crew.QUALITY[1]))


def _telling_step(unit: Unit) -> Step | None:
    """A test on which a dead unit shows that it is dead."""
    tests = [one for one in unit.product.route if kind_of(one.station_kind).golden and unit.product.required(one)]
    return tests[-1] if tests else None
