"""Mishaps that every floor sees, so that there is something to tell: a miswired cable, a bad lot in one rack."""

from typing import Final

from stations.floor.faults import Fault, swapped_wires
from stations.floor.plant import is_soak
from stations.floor.products import NETLIST, Product
from stations.floor.work import Floor, Unit

WIRES_MAX: Final = 24
"""Wires of a cable that is wired by hand."""
DEAD: Final = 2


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
