"""What goes wrong in an attempt, and what is done about it, worked out from the product's definition.

A value that belongs to a position accuses what is in that position; any other is traced to a part from whose
replacement on the step is tested again, or to something that only has to be set right.
"""

from collections.abc import Mapping
from random import Random
from typing import Final, NamedTuple

from stations.floor.chance import Chance
from stations.floor.kinds import kind_of
from stations.floor.products import NETLIST, Characteristic, Product, Step

AGAIN: Final = 0.06
"""Share of repairs that missed the cause."""
REPLACED: Final = 0.6
"""Share of faults without a position that are mended by replacing a part."""

Cause = tuple[str, str]
"""What was found, and what was done about it."""
_CAUSES: Final[Mapping[str, tuple[Cause, ...]]] = {
    "burn-in-chamber": (("Thermal compound was uneven.", "Compound applied anew."),),
    "crimp-press": (("A strand stood out of its crimp.", "Crimped anew."),),
    "flow-bench": (("Air was trapped in the loop.", "Bled again."), ("The strainer was clogged.", "Strainer cleaned.")),
    "hipot-tester": (
        ("The earth screw was loose.", "Tightened to its torque."),
        ("A terminal was dirty.", "Cleaned."),
    ),
    "inspection-bench": (("The label was smudged.", "Label printed anew."), ("A burr on an edge.", "Deburred.")),
    "leak-tester": (("A seal was pinched.", "Seal replaced."), ("A fitting was loose.", "Tightened to its torque.")),
    "link-tester": (("A plug was not latched.", "Latched, with a second person looking on."),),
    "port-tester": (("A contact was dirty.", "Cleaned, and looked at under the microscope."),),
    "power-bay": (("A busbar clamp was loose.", "Tightened to its torque."),),
    "wire-cutter": (("The length stop had moved.", "Cut anew."),),
}
_OTHERWISE: Final = (
    ("A connector was not seated.", "Seated again, and checked by a second person."),
    ("Residue on a contact.", "Cleaned, and looked at under the microscope."),
)


class Excursion(NamedTuple):
    """A channel of telemetry goes beyond what it is watched by, `begins_s` after the start of its soak."""

    channel: str
    limit: Characteristic
    begins_s: float


class Fault(NamedTuple):
    """A unit fails a step: which characteristic is off (None: the netlist), which position is to be replaced.

    `swapped` is the first of two neighbouring wires that changed places. `missed`: the station itself sees nothing.
    `dead`: positions inside what is at `position` that are to be replaced there. `live`: telemetry shows it while the
    run is on. `reseated`: what is at `position` goes back, mounted anew.
    """

    characteristic: Characteristic | None
    position: str | None
    found: str
    done: str
    swapped: int | None = None
    missed: bool = False
    dead: tuple[str, ...] = ()
    live: Excursion | None = None
    reseated: bool = False


class Faults:
    """Decides what goes wrong. `planned` are faults that must happen, by unit, step and attempt."""

    def __init__(self, chance: Chance) -> None:
        self._chance = chance
        self.planned: dict[tuple[str, str, int], Fault] = {}

    @property
    def unnoticed(self) -> list[str]:
        """Units with a fault that their tester does not see."""
        return [serial for (serial, _, _), fault in self.planned.items() if fault.missed]

    def of_product(self, product: Product, serial: str, step: Step, attempt: int) -> Fault | None:
        """What is wrong with the unit in this attempt, if something is."""
        planned = self.planned.get((serial, step.step, attempt))
        if planned:
            return planned
        share = kind_of(step.station_kind).fails
        if attempt > 1:
            earlier = self.of_product(product, serial, step, attempt - 1)
            share = AGAIN if earlier and attempt == 2 else 0.0
        if not step.needs or not self._chance.happens(share, serial, step.step, attempt, "fails"):
            return None
        return self.fault(product, serial, step, attempt)

    def of_station(self, serial: str, step: Step, attempt: int) -> bool:
        """Whether the station gives up in this attempt."""
        errs = kind_of(step.station_kind).errs if step.needs else 0.0
        return attempt <= 2 and self._chance.happens(errs, serial, step.step, attempt, "errs")

    def fault(self, product: Product, serial: str, step: Step, attempt: int) -> Fault:
        """A fault that the step finds."""
        die = self._chance.of(serial, step.step, attempt, "fault")
        if NETLIST in step.needs and product.netlist:
            return swapped_wires(product, step, die)
        one = die.choice(product.required(step))
        tests = kind_of(step.station_kind).program is not None
        position = _accused(product, step, one, die) if tests else None
        if position is None:
            return Fault(one, None, *die.choice(_CAUSES.get(step.station_kind, _OTHERWISE)))
        part = product.lines[position].part
        return Fault(one, position, f"{part} at {position} is at fault.", f"{part} at {position} replaced.")


def swapped_wires(product: Product, step: Step, die: Random, missed: bool = False) -> Fault:
    """Two neighbouring wires changed places in a connector."""
    first = die.randrange(len(product.netlist) - 1)
    ends = [product.netlist[index].end_b for index in (first, first + 1)]
    position = replaceable(product, step, die)
    where = f" in {product.lines[position].part} at {position}" if position else ""
    done = f"{product.lines[position].part} at {position} replaced." if position else "Contacts put right."
    found = f"{ends[0]} and {ends[1]} are exchanged{where}."
    return Fault(None, position, found, done, swapped=first, missed=missed)


def _accused(product: Product, step: Step, one: Characteristic, die: Random) -> str | None:
    if one.position:
        position = one.position.partition("/")[0]
        if position in product.lines and product.lines[position].retest_from:
            return position
    return replaceable(product, step, die) if die.random() < REPLACED else None


def replaceable(product: Product, step: Step, die: Random) -> str | None:
    """A serialized part from whose replacement on the step is tested again, not much more than needed."""
    found = []
    for position, line in product.lines.items():
        if line.retest_from and step.step in product.onward(line.retest_from) and line.quantity == 1:
            found.append((len(product.onward(line.retest_from)), position))
    if not found:
        return None
    least = min(found)[0]
    return die.choice([position for count, position in found if count == least])
