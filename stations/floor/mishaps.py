"""Mishaps that every floor sees, so that there is something to tell: a miswired cable, a bad lot in one rack, a unit
that grows too hot in its soak.
"""

from collections.abc import Sequence
from typing import Final

from stations.floor import soak
from stations.floor.faults import Excursion, Fault, swapped_wires
from stations.floor.plant import is_soak
from stations.floor.products import NETLIST, Characteristic, Product, Step
from stations.floor.work import Attempt, Floor, Unit

WIRES_MAX: Final = 24
"""Wires of a cable that is wired by hand."""
DEAD: Final = 2
HEAT: Final = "Cel"
HOT_AFTER: Final = (0.1, 0.5)
"""After which share of its soak a unit grows too hot."""
SHOWN_S: Final = -60.0
"""When the soak that people get to see grows too hot, from when they begin to look: some minutes later it is failed."""


def plan_swapped_wires(floor: Floor, product: Product, serials: tuple[str, ...]) -> None:
    """In one hand-wired cable of an order two wires change places, and its tester does not notice."""
    tests = [step for step in product.route if NETLIST in step.needs]
    if not tests or not 1 < len(product.netlist) <= WIRES_MAX:
        return
    serial = floor.chance.of(serials[0], "swapped").choice(serials)
    die = floor.chance.of(serial, "swapped")
    floor.faults.planned[serial, tests[0].step, 1] = swapped_wires(product, tests[0], die, missed=True)


def plan_dead_parts(floor: Floor, unit: Unit) -> None:
    """Some parts of one assembly, all of one bad lot, die in the soak of what it is built into."""
    product = unit.product
    for step in filter(is_soak, product.route):
        counted = [one for one in product.required(step) if one.position and type(one.equals) in (int, float)]
        found = [(one, doubles) for one in counted if (doubles := _doubles(floor, product, one.position or ""))]
        if found:
            die = floor.chance.of(unit.serial, "dead")
            one, positions = die.choice(found)
            dead = tuple(sorted(die.sample(positions, min(DEAD, len(positions)))))
            part = product.lines[one.position or ""].part
            text = f"{' and '.join(dead)} of {part} at {one.position} are dead, both of one lot."
            fault = Fault(one, one.position, text, f"{', '.join(dead)} replaced, {part} tested again.", dead=dead)
            floor.faults.planned[unit.serial, step.step, 1] = fault


def _doubles(floor: Floor, product: Product, position: str) -> list[str]:
    """Positions, inside what is at a position, that all hold the same kind of unit built here."""
    line = product.lines.get(position)
    inside = floor.catalog[line.part].bom if line else ()
    return next((list(one.positions) for one in inside if floor.catalog[one.part].is_built), [])


def plan_hot_soak(floor: Floor, ordered: Sequence[tuple[Product, Sequence[str]]]) -> None:
    """One unit of an order grows too hot in its soak, which is stopped."""
    hot = [(serial, product, one) for product, serials in ordered for one in _watched(product) for serial in serials]
    if hot:
        die = floor.chance.of(ordered[0][1][0], "hot")
        serial, product, (step, told) = die.choice(hot)
        floor.faults.planned[serial, step.step, 1] = _hot(product, told, step.min_s * die.uniform(*HOT_AFTER))


def hot_while_watched(attempt: Attempt) -> Fault | None:
    """Of the units that are in their soak when people begin to look, one grows too hot before their eyes."""
    floor, product = attempt.floor, attempt.unit.product
    begins_s = floor.watched_from + SHOWN_S - attempt.began
    told = [one for step, one in _watched(product) if step is attempt.step and soak.CREEPS_UP_S < begins_s < step.min_s]
    if floor.shown or attempt.number > 1 or not told:
        return None
    floor.shown = True
    return _hot(product, floor.chance.of(attempt.run, "hot").choice(told), begins_s)


def _watched(product: Product) -> list[tuple[Step, Characteristic]]:
    """Soaks, each with what they report of a part that may grow too hot and can be mounted anew."""
    return [
        (step, one)
        for step in filter(is_soak, product.route)
        for one in product.required(step)
        if one.position
        and one.position in product.lines
        and product.lines[one.position].retest_from
        and (limit := product.watch(soak.sampled(one.name), one.position))
        and limit.high is not None
        and limit.unit == HEAT
    ]


def _hot(product: Product, told: Characteristic, begins_s: float) -> Fault:
    position = told.position or ""
    limit = product.watch(soak.sampled(told.name), position) or told
    begins_s -= begins_s % soak.PERIOD_S
    live = Excursion(soak.channel(told.name, position), limit, begins_s)
    part = product.lines[position].part
    found = f"The cold plate on {part} at {position} sat askew, its compound had not spread."
    done = f"{part} at {position} cleaned and mounted anew, cold plate tightened crosswise to its torque."
    return Fault(told, position, found, done, live=live, reseated=True)
