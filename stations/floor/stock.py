"""Parts that are bought: their serials, lots, makers and date codes, and the units kept for testers and repairs."""

from collections import defaultdict
from typing import Final

from mes.formats.messages import Child, PartReceived
from stations.facts import of_lot, serialized
from stations.floor.chance import Chance
from stations.floor.deeds import Moment
from stations.floor.products import Alternate, BomLine, Catalog

LOT_USES: Final = 40
"""Uses of a lot after which the next is opened."""
ALTERNATE: Final = 0.15
"""Share of positions filled with an approved alternate."""


class Stock:
    """Where parts come from. `block` sets this floor's numbers apart from those of other seeds."""

    def __init__(self, catalog: Catalog, chance: Chance, block: int) -> None:
        self._catalog = catalog
        self._chance = chance
        self._block = block
        self._counts: dict[str, int] = defaultdict(int)
        self._opened: set[str] = set()

    def part(self, line: BomLine, *who: object) -> Child:
        """What is taken for one position. `who` names the position, for its own throw of the die."""
        die = self._chance.of(*who, "part")
        part, maker = line.part, None
        if line.alternates and die.random() < ALTERNATE:
            chosen = die.choice(line.alternates)
            part, maker = (chosen.part, chosen.maker) if isinstance(chosen, Alternate) else (chosen, None)
        if self._catalog[part].tracking == "serial":
            return serialized(part, self._serial(part), maker)
        return of_lot(part, self._lot(part), line.quantity, maker)

    def receipt(self, child: Child, at: float, moment: Moment) -> PartReceived:
        """How a part came in."""
        die = self._chance.of(child.part, child.serial or child.lot, "receipt")
        quantity = child.quantity * LOT_USES if child.quantity else None
        code = f"{2600 + die.randrange(28, 43)}"
        return PartReceived(child.part, moment(at), child.serial, child.lot, quantity, child.maker, code)

    def is_new(self, child: Child) -> bool:
        """Whether a part came in just for this use: a serialized one always, a lot at its first."""
        if child.serial:
            return True
        name = f"{child.part}/{child.lot}"
        new = name not in self._opened
        self._opened.add(name)
        return new

    def _serial(self, part: str) -> str:
        self._counts[part] += 1
        return f"{_letters(part)}-{self._block}{self._counts[part]:05}"

    def _lot(self, part: str) -> str:
        self._counts[part] += 1
        return f"L{self._block}-{_letters(part)}-{1 + self._counts[part] // LOT_USES}"


def _letters(part: str) -> str:
    return "".join(letter for letter in part if letter.isalnum())
