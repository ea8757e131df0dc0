"""Putting parts in and taking them out, by people with a scanner, who err now and then and notice."""

from collections.abc import Sequence
from typing import Final

from mes.formats.messages import Child, PartInstalled, PartRemoved
from stations.floor.deeds import After
from stations.floor.products import BomLine
from stations.floor.schedule import Process
from stations.floor.work import Attempt, Unit, child_of

TWICE: Final = 0.006
"""Share of scans that are done twice."""
WRONG_SLOT: Final = 0.008
"""Share of scans that name another slot of the same kind."""
SCAN_S: Final = (4.0, 14.0)


def fill(attempt: Attempt, parts: dict[str, Child | Unit]) -> Process[None]:
    """Install what a step installs, part after part."""
    unit, chance = attempt.unit, attempt.floor.chance
    left = list(parts)
    for position, part in parts.items():
        left.remove(position)
        die = chance.of(attempt.run, position, "scan")
        yield die.uniform(*SCAN_S)
        slip = die.random()
        other = _other_slot(unit.product.lines[position], left)
        if slip < WRONG_SLOT and other and child_of(part).serial:
            yield from _into_the_wrong_slot(attempt, part, other, die.uniform(8, 40))
        install(attempt, position, part)
        if slip > 1 - TWICE and child_of(part).serial:
            yield die.uniform(2, 6)
            install(attempt, position, part)
        unit.inside[position] = part


def _other_slot(line: BomLine, left: list[str]) -> str | None:
    """A slot of the same kind that is still empty."""
    return next((one for one in line.positions if one in left), None)


def _into_the_wrong_slot(attempt: Attempt, part: Child | Unit, slot: str, notices_after_s: float) -> Process[None]:
    install(attempt, slot, part)
    yield notices_after_s
    remove(attempt, slot, part, "scanned into the wrong slot")
    yield 3.0


def install(attempt: Attempt, position: str, part: Child | Unit) -> None:
    """A part goes into a position, now."""
    after = attempt.floor.so_far(part)
    attempt.tell(
        lambda moment, at: PartInstalled(attempt.unit.ref, position, child_of(part), moment(at), attempt.operator),
        after,
    )


def remove(attempt: Attempt, position: str, part: Child | Unit, why: str, after: Sequence[After] = ()) -> None:
    """A part is taken out of a position, now."""
    attempt.tell(
        lambda moment, at: PartRemoved(attempt.unit.ref, position, child_of(part), moment(at), attempt.operator, why),
        after,
    )
