"""The whole floor in memory: every layer of the fold over one set of entries.

The reference that stored state is checked against: whatever order entries came in, and however often, what is stored
must equal this.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from mes.domain.as_built import fit, position_changes
from mes.domain.assembly import Stay, fold_assembly
from mes.domain.facts import Entry, Key, PartInstalled, UnitId, in_order
from mes.domain.hold import Hold, concerning
from mes.domain.live_limits import breaks
from mes.domain.material import Loading, fold_material, with_lot
from mes.domain.nonconformance import Nonconformance
from mes.domain.product import Definition
from mes.domain.refusals import Reason
from mes.domain.unit import Attempt, Progress, UnitHistory, fold_unit, subject_of

_T = TypeVar("_T")


@dataclass(slots=True)
class Floor:
    """All loadings and stays, each unit's progress and attempts, nonconformances, and the deviations of each entry."""

    loadings: list[Loading] = field(default_factory=list)
    stays: list[Stay] = field(default_factory=list)
    units: dict[UnitId, tuple[Progress, list[Attempt]]] = field(default_factory=dict)
    nonconformances: dict[str, Nonconformance] = field(default_factory=dict)
    deviations: dict[Key, tuple[Reason, ...]] = field(default_factory=dict)


def fold_floor(
    definitions: Mapping[UnitId, Definition | None],
    entries: Iterable[Entry],
    holds: Sequence[Hold] = (),
    orders: Mapping[UnitId, str] | None = None,
    orders_closed_at: Mapping[str, datetime] | None = None,
) -> Floor:
    """What a set of entries about the units of `definitions` comes to. A unit's order is in `orders`.

    A hold on a lot concerns the units that ever held it in a position of their own.
    """
    told = in_order(entries)
    material = fold_material(told)
    ordered = [with_lot(entry, material.loadings) for entry in told]
    assembly = fold_assembly(ordered)
    floor = Floor(material.loadings, assembly.stays, deviations={**material.deviations, **assembly.deviations})
    for entry in ordered:
        _note(floor, entry.key, misfits(entry, definitions))
    stays_in = _grouped(floor.stays, lambda stay: stay.parent)
    broken = breaks(ordered)
    entries_of = _grouped(ordered, lambda entry: subject_of(entry.what))
    for unit in dict.fromkeys((*definitions, *entries_of, *stays_in)):
        definition, stays = definitions.get(unit), stays_in.get(unit, [])
        order = (orders or {}).get(unit)
        lots = {lot for stay in stays for lot in stay.lots}
        part = definition.part if definition else None
        history = fold_unit(
            definition,
            entries_of.get(unit, ()),
            [*position_changes(stays, definition), *broken.get(unit, ())],
            concerning(holds, unit=unit, part=part, order=order, lots=lots),
            (orders_closed_at or {}).get(order or ""),
        )
        _keep(floor, unit, history)
    return floor


def misfits(entry: Entry, definitions: Mapping[UnitId, Definition | None]) -> tuple[Reason, ...]:
    """What an install's part and position are to the parent's definition: nothing if they fit."""
    what = entry.what
    if not isinstance(what, PartInstalled):
        return ()
    return fit(definitions.get(what.parent), what.position, what.part, what.maker)


def _keep(floor: Floor, unit: UnitId, history: UnitHistory) -> None:
    floor.units[unit] = history.progress, history.attempts
    floor.nonconformances.update(history.nonconformances)
    for key, found in history.deviations.items():
        _note(floor, key, found)


def _grouped(values: Iterable[_T], name_of: Callable[[_T], UnitId | None]) -> dict[UnitId, list[_T]]:
    """Values by the unit they are about, without those that are about none."""
    groups: dict[UnitId, list[_T]] = {}
    for value in values:
        if (unit := name_of(value)) is not None:
            groups.setdefault(unit, []).append(value)
    return groups


def _note(floor: Floor, key: Key, found: tuple[Reason, ...]) -> None:
    if found:
        floor.deviations[key] = floor.deviations.get(key, ()) + found
